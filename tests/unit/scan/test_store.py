"""A scan of a store, in the protocol of S3, from a server on this machine."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PilImage

from ganfingerprint.detector import Detector
from ganfingerprint.scan.query import ask
from ganfingerprint.scan.run import scan
from ganfingerprint.scan.settings import ScanSettings


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of fsspec with an empty bucket `pictures`; what finds the server is in the environment alone."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("pictures")
    yield system
    system.rm("pictures", recursive=True)  # servers of one process share what they store
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_prefix_of_a_bucket_is_scanned(
    bucket: Any, bright_detector: Detector, draw_picture: Callable[..., Any], tmp_path: Path, workers: int
) -> None:
    for number in range(5):
        stream = io.BytesIO()
        PilImage.fromarray(draw_picture(number)).save(stream, "PNG")
        bucket.pipe(f"pictures/2026/{'deep/' * (number == 4)}{number}.png", stream.getvalue())
    bucket.pipe("pictures/2026/bad.jpg", b"no picture")
    bucket.pipe("pictures/2026/notes.txt", b"")
    bucket.pipe("pictures/elsewhere/0.png", b"")
    settings = ScanSettings(workers=workers, recursive=True)
    progress = scan(bright_detector, ["s3://pictures/2026"], tmp_path / "out", settings)
    found = {row["path"]: row for row in ask(tmp_path / "out").to_pylist()}
    assert list(found) == [
        f"s3://pictures/2026/{name}" for name in ("0.png", "1.png", "2.png", "3.png", "bad.jpg", "deep/4.png")
    ]
    assert {path: row["error_code"] for path, row in found.items() if row["error_code"]} == {
        "s3://pictures/2026/bad.jpg": "unreadable_image"
    }
    answer = bright_detector.predict(bucket.cat("pictures/2026/2.png"))
    row = found["s3://pictures/2026/2.png"]
    assert (row["sha256"], row["logit"]) == (answer.sha256, pytest.approx(answer.logit))
    assert (progress.done, progress.failed) == (6, 1)
    assert scan(bright_detector, ["s3://pictures/2026"], tmp_path / "out", settings).done == 0


def test_what_a_bucket_does_not_have_is_a_row(bucket: Any, bright_detector: Detector, tmp_path: Path) -> None:
    inputs = ["s3://pictures/absent.png", "s3://pictures/absent/*.png", "s3://nobody/0.png"]
    scan(bright_detector, inputs, tmp_path / "out", ScanSettings(workers=0))
    found = {row["path"]: row["error_code"] for row in ask(tmp_path / "out").to_pylist()}
    assert found == dict.fromkeys(inputs, "not_found")
