"""The files of a request: a form with files, read within limits and held in memory alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from ganfingerprint.service.answers import ServiceError, gone

MOST_FIELDS = 8  # beside the files; they are not looked at
LONGEST_NAME = 200  # characters of a file's name that are repeated in answers
MultiPartParser.spool_max_size = 2**31  # nothing goes to a disk: the whole request is bounded before

_FILE = {"type": "string", "format": "binary"}


def _body(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "required": [name], "properties": {name: schema}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


FILE_BODY = _body("file", _FILE)
FILES_BODY = _body("files", {"type": "array", "items": _FILE, "minItems": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file of a request."""

    name: str
    data: bytes


async def read_uploads(request: Request, *, most: int) -> list[Upload]:
    """All files of the form, whatever their fields are called.

    Raises:
        ServiceError: it is no form with files, has none, or more than `most`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ServiceError(415, "not_a_form", "send pictures as files of a form (multipart/form-data)")
    try:
        async with request.form(max_files=most + 1, max_fields=MOST_FIELDS) as form:
            parts = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
            if len(parts) > most:
                raise _too_many(most)
            uploads = [Upload(name=_name(part.filename), data=await part.read()) for part in parts]
    except ClientDisconnect:
        raise gone() from None
    except (MultiPartException, HTTPException) as problem:
        said = str(getattr(problem, "detail", problem))
        if "Too many files" in said:
            raise _too_many(most) from problem
        raise ServiceError(400, "bad_form", f"the form cannot be read ({said})") from problem
    if not uploads:
        raise ServiceError(422, "no_file", "the form has no file")
    return uploads


def _too_many(most: int) -> ServiceError:
    return ServiceError(413, "too_many_files", f"a request may have at most {most} file{'' if most == 1 else 's'}")


def _name(given: str | None) -> str:
    """The last part of a name, printable and not too long."""
    last = (given or "file").replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:LONGEST_NAME] or "file"
