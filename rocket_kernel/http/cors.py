"""Cross-origin answers: none at all unless origins are configured, and then compared exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_EXPOSED = "ETag, X-Trace-ID, Retry-After, Idempotency-Replayed, Allow"
_MAX_AGE_S = "600"


def cors_headers(request_headers: Mapping[str, str], origins: Sequence[str]) -> dict[str, str]:
    """Headers for an ordinary answer."""
    if not origins:
        return {}
    origin = request_headers.get("origin")
    if origin is None:
        return {"Vary": "Origin"}
    if origin in origins:
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }
    if "*" in origins:
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
    return {"Vary": "Origin"}


def preflight_headers(
    request_headers: Mapping[str, str], origins: Sequence[str], allowed: Sequence[str]
) -> dict[str, str]:
    """Headers for the answer to OPTIONS, on top of `cors_headers`."""
    shown = cors_headers(request_headers, origins)
    if "Access-Control-Allow-Origin" not in shown or "access-control-request-method" not in request_headers:
        return shown
    asked = request_headers.get("access-control-request-headers", "")
    return {
        **shown,
        "Access-Control-Allow-Methods": ", ".join(allowed),
        "Access-Control-Max-Age": _MAX_AGE_S,
        **({"Access-Control-Allow-Headers": asked} if asked.isascii() and asked.isprintable() and asked else {}),
    }
