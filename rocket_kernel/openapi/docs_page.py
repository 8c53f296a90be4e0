"""The page at `_docs`: files that come with the package, and what a browser may do with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from types import MappingProxyType

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)

_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_TYPES: Mapping[str, str] = {
    "docs.css": _STYLE,
    "docs.js": _SCRIPT,
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": _STYLE,
}
FILE_NAMES = tuple(_TYPES)


@dataclass(frozen=True, slots=True)
class PageFile:
    body: bytes
    type: str
    tag: str


@cache
def page_file(name: str) -> PageFile | None:
    """One of the files that the page refers to; None for any other name."""
    if name not in _TYPES:
        return None
    body = _read(name)
    return PageFile(body, _TYPES[name], f'"{blake2b(body, digest_size=16).hexdigest()}"')


@cache
def page(base: str) -> bytes:
    """The page itself; `base` leads from its address to those of its files."""
    return _read("index.html").replace(b"{base}", base.encode())


def _read(name: str) -> bytes:
    return files("rocket_kernel.openapi").joinpath("assets", name).read_bytes()
