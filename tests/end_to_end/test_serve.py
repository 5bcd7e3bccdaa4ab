"""The `serve` command as a process: it answers, and ends with what was under way finished."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ganfingerprint.cli.main import main

pytest.importorskip("uvicorn")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def get(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def test_it_listens_until_it_is_stopped(detector: Path, tmp_path: Path) -> None:
    port, keys = free_port(), tmp_path / "keys.txt"
    keys.write_text("# for tests\nsecret\n")
    command = [sys.executable, "-m", "ganfingerprint", "serve", "--port", str(port), "--api-key-file", str(keys)]
    command += ["--detector", str(detector), "--engine", "fake", "--workers", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 60
            while get(port, "/readyz") != 200:
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.1)
            assert get(port, "/v1/detector") == 401
            with socket.create_connection(("127.0.0.1", port), timeout=10) as flood:  # a head without an end
                flood.sendall(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"x" * 200_000)
                answer = flood.recv(100)
            assert re.match(rb"HTTP/1.1 4\d\d", answer) or answer == b""
            assert get(port, "/healthz") == 200
        finally:
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
    assert process.returncode in (0, 130)
    assert "Listening on" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-body", "lots"), "--max-body must be a number of bytes"),
        (("--max-body", "0"), "--max-body must be a number of bytes"),
        (("--api-key-file", "nowhere.txt"), "the keys cannot be read"),
        (("--detector", "nowhere"), "no_detector"),
        (("--engine", "fake", "--gallery", "nowhere"), "there is no gallery"),
    ],
)
def test_mistakes_are_told_before_anything_listens(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_a_file_without_keys_lets_nobody_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys.txt").write_text("# none yet\n\n")
    assert main(["serve", "--api-key-file", str(tmp_path / "keys.txt")]) == 1
    assert "no key in it" in capsys.readouterr().err
