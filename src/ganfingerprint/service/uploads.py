"""The files of a request: a form with files, read within limits and held in memory alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ganfingerprint.service.answers import ServiceError, gone

MOST_FIELDS = 8  # beside the files; they are not looked at
LONGEST_FIELD = 64 * 2**10  # bytes of one of them
LONGEST_NAME = 200  # characters of a file's name that are repeated in answers
# Of names and fields. Python knows a hundred more, and some take minutes for a megabyte.
CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1"})

_FILE = {"type": "string", "format": "binary"}


def _body(**fields: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "required": [*fields], "properties": fields}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


FILE_BODY = _body(file=_FILE)
_SOME = {"type": "array", "items": _FILE, "minItems": 1}
FILES_BODY = _body(files=_SOME)
SIDES = ("first", "second")  # the fields of a comparison
SIDES_BODY = _body(**dict.fromkeys(SIDES, _SOME))


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file of a request."""

    name: str
    data: bytes


class _Form(MultiPartParser):
    """A form that is held in memory, and has an end."""

    spool_max_size = 2**31  # nothing goes to a disk: the whole request is bounded before

    def __init__(self, request: Request, *, most: int) -> None:
        body = self._to_the_end(request.stream())
        limits = {"max_files": most, "max_fields": MOST_FIELDS, "max_part_size": LONGEST_FIELD}
        super().__init__(request.headers, body, **limits)
        self.whole = False

    def on_end(self) -> None:
        """The last boundary is here."""
        self.whole = True

    async def _to_the_end(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(body):
            async for piece in body:
                yield piece
        if not self.whole:  # a file may be missing, or be cut short; the parser closes what it has
            raise MultiPartException("it ends before its last boundary")


async def read_uploads(request: Request, *, most: int) -> list[Upload]:
    """All files of the form, whatever their fields are called.

    Raises:
        ServiceError: it is no form with files, has none, or more than `most`.
    """
    return [upload for _, upload in await _read(request, most)]


async def read_sides(request: Request, *, most: int) -> tuple[list[Upload], list[Upload]]:
    """The files of the two sides of a comparison.

    Raises:
        ServiceError: as `read_uploads`; a side has none, or a file is on neither.
    """
    found = await _read(request, most)
    if any(field not in SIDES for field, _ in found):
        raise ServiceError(422, "usage", f"the fields of the files are called {' and '.join(SIDES)}")
    first, second = ([upload for field, upload in found if field == side] for side in SIDES)
    if not first or not second:
        raise ServiceError(422, "no_file", f"each of the fields {' and '.join(SIDES)} needs a file")
    return first, second


async def _read(request: Request, most: int) -> list[tuple[str, Upload]]:
    """The files of the form, each with the name of its field."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise ServiceError(415, "not_a_form", "send pictures as files of a form (multipart/form-data)")
    if options.get(b"charset", b"utf-8").lower() not in CHARSETS:
        raise ServiceError(400, "bad_form", "names and fields of a form have to be in UTF-8")
    parser = _Form(request, most=most)
    try:
        async with aclosing(parser.stream):
            form = await parser.parse()
    except ClientDisconnect:
        raise gone() from None
    except MultiPartException as problem:
        if "Too many files" in problem.message:
            raise _too_many(most) from problem
        raise ServiceError(400, "bad_form", f"the form cannot be read ({problem.message})") from problem
    try:
        parts = [(field, part) for field, part in form.multi_items() if isinstance(part, UploadFile)]
        if not parts:
            raise ServiceError(422, "no_file", "the form has no file")
        return [(field, Upload(name=_name(part.filename), data=await part.read())) for field, part in parts]
    finally:
        await form.close()


def _too_many(most: int) -> ServiceError:
    return ServiceError(413, "too_many_files", f"a request may have at most {most} file{'' if most == 1 else 's'}")


def _name(given: str | None) -> str:
    """The last part of a name, printable and not too long."""
    last = (given or "file").replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:LONGEST_NAME] or "file"
