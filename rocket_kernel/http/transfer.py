"""Export and import of an app: contract §14."""

from __future__ import annotations

from rocket_kernel.errors import InvalidPayload
from rocket_kernel.http.messages import Request, Response, data
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.openapi.operation import Operation, Parameter, answers_data
from rocket_kernel.openapi.schema import ANY, INTEGER, OBJECT, TEXT, array_of, map_of, object_of, one_of
from rocket_kernel.transfer.document import SAMPLE_DATA, VERSION, export_document, parse_document
from rocket_kernel.transfer.importing import import_document


async def export_app(request: Request) -> Response:
    async with request.app.reading() as (_session, registry):
        return data(export_document(registry.model, request.kernel.parts.kinds, request.now))


async def import_app(request: Request) -> Response:
    mode = request.parameters.get("mode", "apply")
    if mode not in ("apply", "plan"):
        raise InvalidPayload(f"Unknown mode: {mode}")
    kinds = request.kernel.parts.kinds
    document = parse_document(request.body, kinds)
    outcome = await import_document(request.app, document, plan=mode == "plan", call=request.call)
    return data(outcome.plan() if mode == "plan" else outcome.summary(kinds))


_ADMIN = AccessClass.ADMIN
_DOCUMENT = {
    "type": "object",
    "properties": {"version": one_of(VERSION), SAMPLE_DATA: map_of(array_of(OBJECT))},
    "additionalProperties": ANY,
}
_SUMMARY = object_of({"message": TEXT, "summary": map_of(INTEGER), "errors": array_of(TEXT)}, ["message", "summary"])
_CHANGE = object_of(
    {"action": one_of("create", "update", "skip"), "kind": TEXT, "key": TEXT, "ddl": array_of(TEXT)},
    ["action", "kind", "key"],
)
_PLAN = object_of(
    {"changes": array_of(_CHANGE), "records": map_of(INTEGER), "errors": array_of(TEXT)}, ["changes", "records"]
)
_MODE = Parameter(name="mode", schema=one_of("apply", "plan"), description="`plan` tells what would change.")

ROUTES = (
    Route(
        method="GET",
        path="/api/:app/_admin/export",
        access=_ADMIN,
        handler=export_app,
        operation=Operation(summary="Export all definitions", tag="transfer", answers=answers_data(_DOCUMENT)),
    ),
    Route(
        method="POST",
        path="/api/:app/_admin/import",
        access=_ADMIN,
        handler=import_app,
        operation=Operation(
            summary="Import definitions and records",
            description="An item that fails is reported, the rest goes on.",
            tag="transfer",
            parameters=(_MODE,),
            body=_DOCUMENT,
            answers=answers_data({"anyOf": [_SUMMARY, _PLAN]}),
        ),
    ),
)
