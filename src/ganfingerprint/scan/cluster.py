"""The stages of a scan on a Ray cluster: a worker on each machine decodes and judges, the driver lists and writes.

A worker (one for each GPU, or one for a machine without) is what a scan is here, without its writer: processes that
decode, and an engine. It is given blocks of items, `DEPTH` at a time, and gives back their rows. So memory stays flat
however many files there are, nothing is listed before a worker has room for it, the one table has one writer, and a
file that ends its decoder is a row there as it is here.

Plain actors and not Ray Data: the driver's part is the loop of `_Crew.rows`. Ray Data brings pandas, wants all paths or
a source of its own in place of an iterator, and repeats the block of a worker that died until one survives it, where
here the file that ends workers is found and becomes a row.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ganfingerprint.artifact import CARD_NAME
from ganfingerprint.attribution import Gallery
from ganfingerprint.detector import Detector
from ganfingerprint.errors import DecoderCrashedError, MissingExtraError, ScanError, UsageError
from ganfingerprint.scan.item import Item
from ganfingerprint.scan.judging import Answers, Judge
from ganfingerprint.scan.schema import Row, row_of
from ganfingerprint.scan.settings import ScanSettings
from ganfingerprint.types import Failure

DEPTH = 2  # blocks that a worker has: one that it works on, and one for which it then need not wait
BLOCK_BATCHES = 8  # a block has items for so many batches, if of each there is one window
BLOCK_BYTES = 2**25  # and ends after so many bytes that come along with items
CONNECT_S, START_S = 10.0, 300.0  # in which the cluster has to answer, and a worker to be ready
STORE_BYTES = 2**29  # of memory that processes of a cluster of our own share: the detector, and blocks
Block = list[Item]


class Cluster:
    """A Ray cluster, connected to in a `with`; one that is started here sends nothing to Ray's makers.

    Every machine needs this package in the same version, and has to see the files under the same paths. The detector
    need not be there: its files are sent along.

    Args:
        address: `local` starts a cluster on this machine, and ends it; `auto` is the one that runs on it; else
            `host:port`.
        engine: of the workers; `auto` takes on each machine the fastest that it has, on one with GPUs torch.
        device: of the workers.

    Raises:
        MissingExtraError: ray is not installed.
        ScanError: there is no cluster at the address.
    """

    def __init__(self, address: str = "local", *, engine: str = "auto", device: str = "auto") -> None:
        self.address, self.engine, self.device = address, engine, device

    def __enter__(self) -> Self:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when ray is imported
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self.address == "local":
            # its ports are open to the network, and who reaches them could run anything
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            options |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        try:
            import ray
        except ModuleNotFoundError as absent:
            raise MissingExtraError("ray", "ray", "a scan on a cluster") from absent
        try:
            host, _, port = self.address.rpartition(":")
            if host:  # ray itself asks for minutes, and then ends this process
                socket.create_connection((host.rpartition("/")[2], int(port)), timeout=CONNECT_S).close()
            ray.init(self.address, **options)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as problem:
            raise ScanError(f"no Ray cluster can be used at '{self.address}': {problem}") from problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def rows(
        self,
        found: Iterator[Item],
        detector: Detector,
        settings: ScanSettings,
        answers: Answers,
        gallery: Gallery | None = None,
    ) -> Generator[Row]:
        """A row for each item, as they are ready, in no order; see `Judge.rows`.

        Each worker judges equal bytes once, and those that `answers` knows not at all.

        Raises:
            ScanError: a worker cannot start, or all machines are gone.
            UsageError: the detector was not loaded from a folder, or has another engine than the cluster.
        """
        if detector.folder is None or (detector.engine.name == "fake") != (self.engine == "fake"):
            raise UsageError("a cluster needs a detector that was loaded from a folder, with the cluster's own engine")
        names = [CARD_NAME, *(item.file for item in (*detector.card.weights, *detector.card.graphs))]
        paths = [detector.folder / name for name in names]
        files = {path.name: path.read_bytes() for path in paths if path.is_file()}  # a graph's check need not be there
        import ray

        options = {"engine": self.engine, "device": self.device, "precision": detector.engine.precision}
        crew = _Crew((ray.put(files), options, settings, ray.put(answers), ray.put(gallery)))
        try:
            yield from crew.rows(_blocks(found, settings.batch_size * BLOCK_BATCHES))
        finally:
            crew.stop()


class _Actor:
    """What runs on the machines of the cluster."""

    def __init__(
        self,
        files: dict[str, bytes],
        options: dict[str, str],
        settings: ScanSettings,
        answers: Answers,
        gallery: Gallery | None,
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            detector = Detector.from_pretrained(folder, **options)
        self.judge = Judge(detector, settings, answers, gallery)

    def rows(self, block: Block) -> list[Row]:
        return list(self.judge.rows(iter(block)))


@dataclass(slots=True, eq=False)
class _Worker:
    """An actor on a machine, and the blocks that it has, the oldest first: with that it is busy."""

    node: dict[str, Any]  # as `ray.nodes` describes the machine
    actor: Any
    waiting: deque[tuple[Any, Block]] = field(default_factory=deque)  # the promise of rows, and what of


class _Crew:
    """The workers of one scan."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        import ray

        self.arguments = arguments
        self.workers: list[_Worker] = []
        self.again: deque[Block] = deque()  # that were with a worker which died
        self.crashed: set[str] = set()  # paths of those that it was at
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if not nodes:
            raise ScanError("no machine of the cluster has a processor to give")
        try:
            self.workers.extend(self._begun(node) for node in nodes for _ in range(max(1, _gpus(node))))
            for worker in self.workers:
                self._await(worker)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the workers."""
        import ray

        for worker in self.workers:
            ray.kill(worker.actor)

    def rows(self, blocks: Iterator[Block]) -> Iterator[Row]:
        """The rows of all blocks."""
        import ray

        while True:
            for worker in self.workers:
                while len(worker.waiting) < DEPTH:
                    block = self.again.popleft() if self.again else next(blocks, None)
                    if block is None:
                        break
                    worker.waiting.append((worker.actor.rows.remote(block), block))
            busy = {worker.waiting[0][0]: worker for worker in self.workers if worker.waiting}
            if not busy:
                return
            ready, _ = ray.wait(list(busy))
            for promise in ready:
                yield from self._received(busy[promise])

    def _received(self, worker: _Worker) -> Iterable[Row]:
        """The rows of a worker's oldest block; where it died there are none, or that of the file which did it."""
        import ray

        promise, block = worker.waiting.popleft()
        try:
            rows: list[Row] = ray.get(promise)
            return rows
        except ray.exceptions.RayTaskError as problem:
            raise problem.cause from problem
        except ray.exceptions.RayError as problem:
            return self._lost(worker, block, str(problem))

    def _lost(self, worker: _Worker, block: Block, problem: str) -> Iterable[Row]:
        """A worker has died: its block is tried again one by one, and what ends another worker then is a failure."""
        import ray

        ray.kill(worker.actor)
        self.workers.remove(worker)
        self.again.extend(block for _, block in worker.waiting)
        another = self._begun(worker.node)
        try:
            self._await(another)
        except ScanError as gone:  # the machine went, and not because of the block
            self.again.append(block)
            if not self.workers:
                raise ScanError(f"all machines of the cluster are gone: {problem}") from gone
            return []
        self.workers.append(another)
        path = block[0].path
        if len(block) == 1 and path in self.crashed:
            said = "reading it ended the worker twice"
            return [row_of(path, Failure(source=path, code=DecoderCrashedError.code, error=said))]
        self.crashed.update(item.path for item in block)
        self.again.extend([item] for item in block)
        return []

    def _begun(self, node: dict[str, Any]) -> _Worker:
        """A worker that starts on the machine, with its share of the processors."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        gpus = _gpus(node)
        actor = ray.remote(_Actor).options(
            num_cpus=int(node["Resources"]["CPU"] / max(1, gpus)),
            num_gpus=min(1, gpus),
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        return _Worker(node, actor.remote(*self.arguments))

    def _await(self, worker: _Worker) -> None:
        """Return when the worker is ready."""
        import ray

        try:
            ray.get(worker.actor.__ray_ready__.remote(), timeout=START_S)
        except ray.exceptions.RayError as problem:
            ray.kill(worker.actor)
            machine, said = worker.node["NodeManagerHostname"], str(problem).strip().splitlines()[-1]
            raise ScanError(f"no worker can start on {machine}: {said}") from problem


def _gpus(node: dict[str, Any]) -> int:
    return int(node["Resources"].get("GPU", 0))


def _blocks(found: Iterator[Item], size: int) -> Iterator[Block]:
    """Items in lists of at most `size`, none listed before it is wanted; their files are found from any folder."""
    block: Block = []
    along = 0
    for item in found:
        block.append(item if item.remote else replace(item, file=os.path.join(os.getcwd(), item.file)))
        along += len(item.payload or b"")
        if len(block) == size or along > BLOCK_BYTES:
            yield block
            block, along = [], 0
    if block:
        yield block
