"""Our spans -> spans of OpenTelemetry. Needs the extra `otlp`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from rocket_kernel import Span, w3c_span_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNNAMED = "unknown_service"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {"http": SpanKind.SERVER, "sql": SpanKind.CLIENT, "webhook": SpanKind.CLIENT}
_STANDARD = {
    "method": "http.request.method",
    "status_code": "http.response.status_code",
    "path": "url.path",
    "fingerprint": "db.query.text",
    "rows": "db.response.returned_rows",
    "error": "error.type",
}
"""What has a name of its own in the conventions of OpenTelemetry; all else is put under `rocket.`."""


class Converter:
    def __init__(self, version: str) -> None:
        """What the environment says of the service, in `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, counts."""
        self._resource = Resource({"service.version": version}).merge(Resource.create())
        if str(self._resource.attributes["service.name"]).startswith(_UNNAMED):
            self._resource = self._resource.merge(Resource({"service.name": "rocket"}))
        self._scope = InstrumentationScope("rocket", version)

    def converted(self, app: str | None, spans: Sequence[Span]) -> list[ReadableSpan]:
        """All spans of one trace. None for a trace whose id OpenTelemetry does not allow, which is 0."""
        trace_id = int(spans[0].trace_id.replace("-", ""), 16)
        return [self._converted(app, trace_id, one) for one in spans] if trace_id else []

    def _converted(self, app: str | None, trace_id: int, one: Span) -> ReadableSpan:
        start = _nanoseconds(one)
        parent = one.parent_span_id
        return ReadableSpan(
            name=_name(one),
            context=_context(trace_id, one.span_id),
            parent=None if parent is None else _context(trace_id, parent),
            resource=self._resource,
            attributes=_attributes(app, one),
            kind=_KINDS.get(one.source, SpanKind.INTERNAL),
            status=Status(StatusCode.ERROR if one.status == "error" else StatusCode.UNSET),
            start_time=start,
            # One that outlives its trace has not ended; its duration is not known.
            end_time=start + (0 if one.ended is None else one.ended - one.began),
            instrumentation_scope=self._scope,
        )


def _context(trace_id: int, span_id: str) -> SpanContext:
    return SpanContext(trace_id, int(w3c_span_id(span_id), 16), is_remote=False, trace_flags=_SAMPLED)


def _nanoseconds(one: Span) -> int:
    begun = one.trace.clock_base - _EPOCH
    return begun // timedelta(microseconds=1) * 1000 + one.after_ns


def _name(one: Span) -> str:
    """Requests by method and route, as is the custom; all else by what is done."""
    if one.source != "http" or one.parent_span_id is not None:
        return one.action
    method = str(one.metadata.get("method", "HTTP"))
    return f"{method} {one.trace.route}" if one.trace.route is not None else method


def _attributes(app: str | None, one: Span) -> dict[str, Any]:
    known = {
        "rocket.app": app,
        "rocket.source": one.source,
        "rocket.component": one.component,
        "rocket.action": one.action,
        "rocket.entity": one.entity,
        "rocket.record_id": one.record_id,
        "user.id": one.user_id,
        "http.route": one.trace.route if one.source == "http" else None,
    }
    known |= {_STANDARD.get(name, f"rocket.{name}"): value for name, value in one.metadata.items()}
    return {name: _plain(value) for name, value in known.items() if value is not None}


def _plain(value: Any) -> str | bool | int | float:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**63 else str(value)
    return msgspec.json.encode(value).decode()
