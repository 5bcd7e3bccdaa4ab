"""A detector for commands that are tested without a network; a service that runs, and one whose engine can be held."""

from __future__ import annotations

import functools
import io
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from ganfingerprint.artifact import Card, read_card, write_detector
from ganfingerprint.attribution import Gallery, save_gallery
from ganfingerprint.calibrate import Calibration
from ganfingerprint.config import NetworkConfig, WindowConfig, to_mapping
from ganfingerprint.detector import Detector
from ganfingerprint.engines.fake_engine import FakeEngine
from ganfingerprint.types import Float32Array, Outputs, UInt8Array

KEY = "a-key-for-tests"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def write_arithmetic(folder: Path) -> Path:
    """A detector whose card is real and whose weights the arithmetic engine does not look at."""
    card = Card(
        name="arithmetic",
        architecture=to_mapping(NetworkConfig(backbone="efficientnet-lite0", pretrained="none")),
        window=to_mapping(WindowConfig(size=96, count=2)),
        calibration=Calibration.unfitted().to_mapping(),
    )
    write_detector(folder, {"unused": np.zeros(3, np.float32)}, card)
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_arithmetic(tmp_path_factory.mktemp("detector") / "arithmetic")


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: `ganfingerprint serve`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    picture: bytes  # a good one
    key: str = KEY

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, tint_gallery: Callable[[str], Gallery]) -> Iterator[Service]:
    """One for all tests; whatever they do to it, it has to stay."""
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("served")
    (folder / "keys.txt").write_text(KEY)
    command = [sys.executable, "-m", "ganfingerprint", "serve", "--port", "0", "--workers", "1", "--max-body", "4M"]
    made = write_arithmetic(folder / "detector")
    save_gallery(tint_gallery(read_card(made).detector_id), folder / "gallery.safetensors")
    command += ["--api-key-file", str(folder / "keys.txt"), "--detector", str(made)]
    command += ["--gallery", str(folder / "gallery.safetensors")]
    command += ["--engine", "fake", "--patience", "1"]
    log = folder / "log.txt"
    stream = io.BytesIO()
    PilImage.new("RGB", (120, 100), (250, 250, 250)).save(stream, "PNG")
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stderr=said, stdout=said, start_new_session=True) as process,
    ):
        try:
            service = Service(process, _port(process, log), log, stream.getvalue())
            _until_ready(service)
            yield service
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            finally:
                process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Where it says that it listens."""
    end = time.monotonic() + 60
    while "http://127.0.0.1:" not in (said := log.read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.05)
    return int(said.partition("http://127.0.0.1:")[2].partition(",")[0])


def _until_ready(service: Service) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"{service.url}/readyz", timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError(service.log.read_text())


class Lamp(FakeEngine):
    """Bright pictures are fake, and so are their bright places. It waits while `go` is not set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()

    def run(self, windows: UInt8Array) -> Outputs:
        assert self.go.wait(30)
        return super().run(windows)

    def heat(self, windows: UInt8Array) -> Float32Array:
        cells = windows.reshape(-1, 6, 16, 6, 16, 3).mean(axis=(2, 4, 5))  # [n, 6, 6]
        return (cells - 128).astype(np.float32)


@dataclass
class Served:
    url: str
    engine: Lamp


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[Served]]:
    """`with serving(settings) as served`: a service on a port of its own, in this process.

    A second argument makes the gallery for the id of its detector; without one it has none.
    """
    return _serving


@contextmanager
def _serving(settings: Any, gallery_of: Callable[[str], Gallery] | None = None) -> Iterator[Served]:
    import uvicorn

    from ganfingerprint.service.app import create_app

    engine = Lamp()
    calibration = Calibration(
        slope=1.0, intercept=0.0, log10_lr_bound=2.0, fake_threshold=3.0, real_threshold=-1.0,
        false_alarm_rate=0.01, miss_rate=0.05,
    )  # fmt: skip
    window = WindowConfig(size=96, count=4)
    card = Card(name="lamp", architecture={}, window=to_mapping(window), calibration=calibration.to_mapping())
    detector = Detector(engine=engine, card=card)
    app = create_app(detector, settings, gallery_of and gallery_of(detector.detector_id))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, http="h11", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", engine)
        finally:
            engine.go.set()
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path (Debian: apt install chromium)")
    with playwright.sync_playwright() as started:
        rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        launched = started.chromium.launch(executable_path=CHROMIUM, args=[rules])
        yield launched
        launched.close()


@dataclass
class Visit:
    """A person on the page, and what the browser noticed meanwhile."""

    page: Any
    expected: set[int] = field(default_factory=set)  # statuses of refusals, which the browser's console repeats
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def give(self, *files: dict[str, Any]) -> None:
        self.page.set_input_files("#files", list(files))

    def finished(self) -> None:
        expect = pytest.importorskip("playwright.sync_api").expect
        expect(self.page.locator("#status")).to_contain_text(re.compile("Finished|was not judged"))
        expect(self.page.locator("#run")).to_be_hidden()

    def rows(self) -> list[list[str]]:
        cells = "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
        found: list[list[str]] = self.page.locator("#rows tr").evaluate_all(cells)
        return found

    def problems(self) -> list[str]:
        """What axe-core calls serious or critical."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright")
        return [
            f"{entry['id']}: {node['html'][:120]}"
            for entry in axe.Axe().run(self.page).response["violations"]
            if entry["impact"] in ("serious", "critical")
            for node in entry["nodes"]
        ]


@pytest.fixture(scope="module")
def visiting(browser: Any) -> Callable[..., AbstractContextManager[Visit]]:
    """`with visiting(url, scheme="light", width=1280) as visit`: a person on the page."""
    return functools.partial(_visiting, browser)


@contextmanager
def _visiting(browser: Any, url: str, *, scheme: str = "light", width: int = 1280) -> Iterator[Visit]:
    """A visit, after which no other host was asked and nothing went wrong but what was expected."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    context.set_default_timeout(10_000)
    visit = Visit(context.new_page())
    visit.page.on("request", lambda request: visit.asked.append(request.url))
    visit.page.on("pageerror", lambda problem: visit.complaints.append(f"thrown: {problem}"))
    visit.page.on("console", lambda said: visit.complaints.append(said.text) if said.type == "error" else None)
    visit.page.on("filechooser", lambda _: None)  # from now on none opens that nobody sees
    visit.page.goto(url)
    visit.page.wait_for_selector("#detector:not(:empty), #key-form:not([hidden])")  # the service was asked who it is
    yield visit
    context.close()
    assert [asked for asked in visit.asked if not asked.startswith((f"{url}/", "data:", f"blob:{url}/"))] == []
    statuses = {found[1]: said for said in visit.complaints if (found := re.search(r"status of (\d+)", said))}
    assert {int(status) for status in statuses} == visit.expected
    assert [said for said in visit.complaints if not re.search(r"status of \d+", said)] == []
