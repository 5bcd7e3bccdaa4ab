"""Signed manifests are validated without a word to any host, and damaged ones end nothing."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganfingerprint import provenance
from ganfingerprint.errors import UsageError
from ganfingerprint.metadata import MOST_TEXT, read_metadata
from ganfingerprint.provenance import Action, ManifestState, Provenance, read_provenance, read_trust_list

CREATED = {"action": "c2pa.created", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt"}


@pytest.fixture(scope="module")
def pixels(draw_picture: Callable[..., Any]) -> Any:
    return draw_picture(3)


@pytest.fixture(scope="module")
def signed(signer: Any, pixels: Any) -> bytes:
    data: bytes = signer.sign(pixels)
    return data


def codes(found: Provenance) -> list[str]:
    return [finding.code for finding in found.findings]


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_an_intact_manifest_says_what_its_signer_asserts(signed: bytes) -> None:
    found = read_provenance(signed)
    assert found == Provenance(
        state=ManifestState.VALID,
        findings=found.findings,
        issuer="Drawn News",
        signer="Signing desk",
        generator="Drawn generator 2",
        actions=(Action(name="c2pa.created", source_type="trainedAlgorithmicMedia", agent="Imaginer 3"),),
        source_types=("trainedAlgorithmicMedia",),
    )
    assert codes(found) == ["signingCredential.untrusted"]


def test_a_signer_on_the_list_is_trusted_and_another_is_not(
    signer: Any, make_signer: Callable[..., Any], signed: bytes
) -> None:
    found = read_provenance(signed, trust=signer.root)
    assert (found.state, found.findings) == (ManifestState.TRUSTED, ())
    other = read_provenance(signed, trust=make_signer().root)  # of the same names
    assert (other.state, codes(other)) == (ManifestState.VALID, ["signingCredential.untrusted"])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_hold_manifests_too(signer: Any, pixels: Any, kind: str) -> None:
    assert read_provenance(signer.sign(pixels, kind=kind), trust=signer.root).state is ManifestState.TRUSTED


def test_what_is_changed_after_signing_no_longer_holds(signer: Any, signed: bytes) -> None:
    picture = read_provenance(changed(signed, len(signed) - 100), trust=signer.root)
    assert (picture.state, codes(picture)) == (ManifestState.INVALID, ["assertion.dataHash.mismatch"])
    claim = read_provenance(changed(signed, signed.index(b"Drawn generator")), trust=signer.root)
    assert (claim.state, codes(claim)) == (ManifestState.INVALID, ["claimSignature.mismatch"])
    assert claim.generator == "Erawn generator 2"
    action = read_provenance(changed(signed, signed.index(b"Imaginer")), trust=signer.root)
    assert (action.state, codes(action)) == (ManifestState.INVALID, ["assertion.hashedURI.mismatch"])


def test_the_manifest_of_another_picture_does_not_hold(signer: Any, signed: bytes, draw_picture: Any) -> None:
    other = signer.sign(draw_picture(4))
    table = b"\xff\xdb\x00\x43\x00"  # the last one that begins so is the picture's, others are its thumbnail's
    body, own = signed.rindex(table), other.rindex(table)
    assert read_provenance(signed[:body] + other[own:], trust=signer.root).state is ManifestState.INVALID


def test_ingredients_are_counted_and_lists_and_texts_are_bounded(signer: Any, signed: bytes, pixels: Any) -> None:
    edits = [{"action": "c2pa.edited", "softwareAgent": {"name": "x\n" * 500}} for _ in range(50)]
    data = signer.sign(pixels, ingredient=signed, actions=(CREATED, *edits), generator="g" * 2000)
    found = read_provenance(data)
    assert found.ingredients == 1
    assert len(found.actions) == provenance.MOST_ENTRIES
    assert len(found.generator) == len(found.actions[1].agent) == MOST_TEXT
    assert found.actions[1].agent.isprintable()


@pytest.mark.parametrize("data", [b"", b"nothing", b"\xff\xd8\xff\xe0 jumb c2pa", b"\x89PNG\r\n\x1a\n jumb c2pa"])
def test_traces_without_a_manifest_are_unreadable(data: bytes) -> None:
    pytest.importorskip("c2pa")
    found = read_provenance(data)
    assert found.state is ManifestState.UNREADABLE
    assert found.reason


def test_damaged_manifests_are_told_and_never_valid(signed: bytes) -> None:
    """In this process, as there are many; the one of its own is only more robust."""
    rng = np.random.default_rng(5)
    start, end = signed.index(b"jumb"), signed.index(b"\xff\xdb")
    for _ in range(60):
        bytes_ = bytearray(signed)
        for at in rng.integers(start, end, 12):
            bytes_[at] = rng.integers(256)
        assert provenance._read(bytes(bytes_), "").state in (ManifestState.INVALID, ManifestState.UNREADABLE)
    for length in rng.integers(2, end, 20):
        assert provenance._read(signed[:length], "").state is ManifestState.UNREADABLE


class Asked(BaseHTTPRequestHandler):
    """Notes what it is asked for, and has nothing."""

    paths: list[str]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_error(404)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def host() -> Iterator[tuple[str, list[str]]]:
    """The address of a host on this machine, and what it was asked for."""
    paths: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Asked,), {"paths": paths})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def read_with(settings: dict[str, Any], data: bytes) -> None:
    import c2pa

    with c2pa.Context.from_dict(settings) as context:
        try:
            c2pa.Reader(io.BytesIO(data), context=context).close()
        except c2pa.C2paError:
            return


def test_a_manifest_elsewhere_is_not_fetched(host: tuple[str, list[str]], signer: Any, pixels: Any) -> None:
    address, paths = host
    data = signer.sign(pixels, remote=f"{address}/manifest.c2pa")
    assert read_metadata(data).manifest_address == f"{address}/manifest.c2pa"
    assert not read_metadata(data).has_manifest
    found = read_provenance(data)
    assert (found.state, paths) == (ManifestState.UNREADABLE, [])
    read_with({}, data)
    assert paths == ["/manifest.c2pa"]  # the library by itself would have


def test_nobody_is_asked_whether_a_certificate_was_revoked(
    host: tuple[str, list[str]], make_signer: Callable[..., Any], pixels: Any
) -> None:
    address, paths = host
    signer = make_signer(asks=f"{address}/ocsp")
    data = signer.sign(pixels)
    assert read_provenance(data, trust=signer.root).state is ManifestState.TRUSTED
    assert paths == []
    read_with({"verify": {"ocsp_fetch": True}, "trust": {"user_anchors": signer.root}}, data)
    assert len(paths) == 1  # the library by itself would not, and could be told to


def test_no_socket_is_opened_while_a_manifest_is_read(signed: bytes, tmp_path: Path, monkeypatch: Any) -> None:
    """Python's own sockets; those of the library are proved above, where a host listens."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event.startswith('socket.') and event != 'socket.gethostname':\n"
        "        raise SystemExit(9)\n"
        "sys.addaudithook(refuse)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert read_provenance(signed).state is ManifestState.VALID


def test_what_takes_too_long_or_dies_is_said(signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "c2pa.py"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    fake.write_text("import time\ntime.sleep(60)\n")
    start = time.monotonic()
    found = read_provenance(signed, timeout_s=1)
    assert (found.state, found.reason) == (ManifestState.UNREADABLE, "reading it took more than 1 seconds")
    assert time.monotonic() - start < 20
    fake.write_text("import os\nos.abort()\n")
    assert read_provenance(signed).reason == "reading it ended the process that read it"
    fake.write_text("print('not an answer')\n")
    assert read_provenance(signed).reason == "reading it failed (JSONDecodeError)"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system limits no memory")
def test_a_manifest_cannot_take_all_memory(signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c2pa.py").write_text("bytearray(8 * 2**30)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert read_provenance(signed).reason == "reading it ended the process that read it"


def test_without_the_library_it_is_said_how_to_get_it(signed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    found = read_provenance(signed)
    assert found.state is ManifestState.NOT_VALIDATED
    assert "pip install 'ganfingerprint[c2pa]'" in found.reason


def test_a_trust_list_holds_certificates(tmp_path: Path, signer: Any) -> None:
    place = tmp_path / "list.pem"
    place.write_text(signer.root * 2)
    assert read_trust_list(place) == signer.root * 2
    for text in ("", "nothing", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"):
        place.write_text(text)
        with pytest.raises(UsageError, match="holds certificates as PEM"):
            read_trust_list(place)
    with pytest.raises(UsageError, match="cannot be read"):
        read_trust_list(tmp_path / "absent.pem")
