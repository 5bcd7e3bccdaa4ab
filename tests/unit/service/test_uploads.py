"""Forms as strangers send them: cut short, without an end, in codings that nobody uses."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from ganfingerprint.service.answers import ServiceError
from ganfingerprint.service.uploads import LONGEST_FIELD, MOST_FIELDS, Upload, read_uploads

FILE = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
FIELD = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
END = b"\r\n--x--\r\n"
FORM = "multipart/form-data; boundary=x"


def read(body: bytes, kind: str = FORM, *, most: int = 2, piece: int = 7) -> list[Upload]:
    """The uploads of a request whose body comes in pieces."""
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode("latin-1"))]}
    return asyncio.run(read_uploads(Request(scope, receive), most=most))


def refusal(body: bytes, kind: str = FORM, **options: Any) -> tuple[int, str]:
    with pytest.raises(ServiceError) as found:
        read(body, kind, **options)
    return found.value.status, found.value.code


def test_files_are_read_in_their_order_and_fields_are_passed_over() -> None:
    body = FILE + b"one" + b"\r\n" + FIELD + b"text\r\n" + FILE.replace(b"a.png", b"b.png") + b"two" + END
    assert read(body) == [Upload(name="a.png", data=b"one"), Upload(name="b.png", data=b"two")]
    assert read(body, 'Multipart/Form-Data; charset=UTF-8; boundary="x"') == read(body)


def test_a_large_file_never_touches_a_disk(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    (upload,) = read(FILE + b"x" * 3_000_000 + END, piece=2**16)
    assert len(upload.data) == 3_000_000
    assert MultiPartParser.spool_max_size < 3_000_000  # what others parse in this process is theirs


@pytest.mark.parametrize("cut", [1, 3, len(END), len(END) + 2])
def test_a_form_that_is_cut_short_is_refused_as_a_whole(cut: int) -> None:
    whole = FILE + b"first\r\n" + FILE + b"second" + END[:-2]
    assert len(read(whole)) == 2
    assert refusal(whole[:-cut]) == (400, "bad_form")


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"", FORM, (400, "bad_form")),
        (b"\r\n" * 1000, FORM, (400, "bad_form")),
        (b"--y\r\n", FORM, (400, "bad_form")),
        (FILE + b"a" + END, "multipart/form-data", (400, "bad_form")),
        (FILE + b"a" + END, "multipart/form-data; boundary=y", (400, "bad_form")),
        (FILE + b"a" + END, "multipart/form-data; boundary=" + "y" * 9000, (400, "bad_form")),
        (FILE + b"a" + END, "multipart/mixed; boundary=x", (415, "not_a_form")),
        (FILE.replace(b"name=", b"nome=") + b"a" + END, FORM, (400, "bad_form")),
        (b"--x\r\nX-Long: " + b"y" * 100_000, FORM, (400, "bad_form")),
        (b"--x\r\n" + b"a: b\r\n" * 10_000, FORM, (400, "bad_form")),
        ((FILE + b"a\r\n") * 10_000, FORM, (413, "too_many_files")),
        ((FIELD + b"a\r\n") * (MOST_FIELDS + 1), FORM, (400, "bad_form")),
        (FIELD + b"a" * (LONGEST_FIELD + 1) + END, FORM, (400, "bad_form")),
        (FIELD + b"a" + END, FORM, (422, "no_file")),
    ],
)
def test_each_form_that_is_none_has_its_error(body: bytes, kind: str, expected: tuple[int, str]) -> None:
    assert refusal(body, kind, piece=2**16) == expected


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "utf-7", "unicode_escape", "zip", "\xe9", ""])
def test_names_are_not_read_in_codings_that_may_take_minutes(charset: str) -> None:
    """Python takes minutes for a megabyte of Punycode, in which nobody else is served."""
    begun = time.monotonic()
    body = FIELD + b"xn--" + b"a" * 60_000 + b"-" + b"b" * 900 + b"\r\n" + FILE + b"a" + END
    assert refusal(body, f"multipart/form-data; charset={charset}; boundary=x", piece=2**16) == (400, "bad_form")
    assert time.monotonic() - begun < 5
