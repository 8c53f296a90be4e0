"""Headers of webhooks: checked when defined, filled from the environment when sent, masked when logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rocket_kernel import MASK, Detail, ValidationFailed

RESERVED = frozenset({"host", "content-length", "transfer-encoding", "connection"})
RESERVED_PREFIX = "webhook-"
MASKED = frozenset({"authorization", "cookie", "webhook-signature"})
JSON_TYPE = "application/json"

# Both run on definitions of administrators and are linear.
_TEMPLATE = re.compile(r"\{\{\s*env\.([A-Za-z0-9_]*)\s*\}\}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = frozenset(map(chr, (*range(9), *range(10, 32), 127)))


class InvalidHeader(ValueError):
    """A header that, filled from the environment, cannot be sent."""


def check_headers(given: Any, env_prefix: str) -> dict[str, str]:
    """Raises ValidationFailed: first for values, then for variables, then for names (contract §11.1)."""
    headers = {} if given is None else given
    if not isinstance(headers, Mapping):
        raise _refused("headers must be an object of strings")
    for name, value in headers.items():
        if not isinstance(value, str) or not _CONTROLS.isdisjoint(value):
            raise _refused(f"header '{name}' must be a string without CR, LF and NUL", name)
        if not _NAME.fullmatch(name):
            raise _refused(f"invalid header name: {name}", name)
    for name, value in headers.items():
        for variable in _TEMPLATE.findall(value):
            if not env_prefix or not variable.startswith(env_prefix):
                raise _refused(f"environment variable '{variable}' is not allowed", name)
    for name in headers:
        if is_reserved(name):
            raise _refused(f"header '{name}' is reserved", name)
    return dict(headers)


def _refused(message: str, name: str | None = None) -> ValidationFailed:
    return ValidationFailed(message, details=[Detail(message, field="headers" if name is None else f"headers.{name}")])


def is_reserved(name: str) -> bool:
    lowered = name.lower()
    return lowered in RESERVED or lowered.startswith(RESERVED_PREFIX)


def fill(headers: Mapping[str, str], environ: Mapping[str, str], env_prefix: str) -> dict[str, str]:
    """Templates replaced by the environment; a variable that is not set, or not allowed any more, is "".

    Raises InvalidHeader when a variable holds what no header can carry.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return environ.get(name, "") if env_prefix and name.startswith(env_prefix) else ""

    filled = {name: _TEMPLATE.sub(value, text).strip() for name, text in headers.items()}
    for name, text in filled.items():
        # Lone surrogates are bytes of the environment that are no UTF-8.
        if not _CONTROLS.isdisjoint(text) or any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidHeader(name)
    return filled


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """As logs show them: without a value that came from the environment or that lets somebody in."""
    return {name: MASK if name.lower() in MASKED or _TEMPLATE.search(text) else text for name, text in headers.items()}


def with_content_type(headers: Mapping[str, str]) -> dict[str, str]:
    """A definition's own content type wins."""
    if any(name.lower() == "content-type" for name in headers):
        return dict(headers)
    return {"Content-Type": JSON_TYPE, **headers}
