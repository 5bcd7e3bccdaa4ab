"""The files that the page for people is made of, by the path that they are asked for at; none needs a key."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

_PAGE = {
    "/": ("index.html", "text/html"),
    "/docs": ("docs.html", "text/html"),
    "/page/style.css": ("style.css", "text/css"),
    **{
        f"/page/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("page", "generator", "picture", "service", "table", "docs")
    },
}  # path → file of `page/`, and what it is
_SAMPLES = ("real/cat.jpg", "fake/cat-realesrgan.jpg", "fake/palace-span.jpg", "fake/dahlia-taef2.jpg")
PATHS = frozenset({*_PAGE, *(f"/page/samples/{name}" for name in _SAMPLES)})


def read_pages() -> dict[str, tuple[bytes, str]]:
    """Path → content and media type, of all of them.

    Raises:
        OSError: the installation is not whole.
    """
    folder = resources.files("ganfingerprint.service").joinpath("page")
    pages = {path: (folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in _PAGE.items()}
    samples = _sample_folder()
    return pages | {f"/page/samples/{name}": ((samples / name).read_bytes(), "image/jpeg") for name in _SAMPLES}


def _sample_folder() -> Path:
    """`samples/` of the package, or of a source checkout."""
    own = Path(str(resources.files("ganfingerprint"))) / "samples"
    return own if own.is_dir() else Path(__file__).resolve().parents[3] / "samples"
