"""An ASGI scope -> the kernel's request: the same for the plain door and the data lane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from rocket_kernel.http.messages import Request
from rocket_kernel.http.trace import trace_id
from rocket_kernel.kernel import Kernel


def make_request(kernel: Kernel, scope: Mapping[str, Any], stream: AsyncIterator[bytes]) -> Request:
    headers = _headers(scope["headers"])
    client = scope.get("client")
    arrived = kernel.parts.clock.now()
    return Request(
        kernel=kernel,
        method=scope["method"],
        path=scope["path"],
        query_string=_query_string(scope),
        headers=headers,
        trace_id=trace_id(headers, arrived),
        arrived=arrived,
        peer=client[0] if client else None,
        stream=stream,
    )


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By name in lower case; repeated ones are one list, RFC 9110 §5.3."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def raw_path(scope: Mapping[str, Any]) -> str:
    """The path still percent-encoded; servers that do not keep it get it encoded again."""
    raw = scope.get("raw_path")
    if raw:
        return str(raw.decode("latin-1")).partition("?")[0]
    return quote(scope["path"])


def _query_string(scope: Mapping[str, Any]) -> str:
    raw: bytes = scope.get("query_string", b"")
    # Bytes beyond ASCII are not allowed there, but they arrive; encoded they are judged like any other text.
    return raw.decode("ascii") if raw.isascii() else quote(raw, safe="%&=+[].,:;/?-_~!*'()$@|")
