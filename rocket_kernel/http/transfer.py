"""Export and import of an app: contract §14."""

from __future__ import annotations

from rocket_kernel.errors import InvalidPayload
from rocket_kernel.http.messages import Request, Response, data
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.transfer.document import export_document, parse_document
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
    outcome = await import_document(request.app, document, plan=mode == "plan")
    return data(outcome.plan() if mode == "plan" else outcome.summary(kinds))


_ADMIN = AccessClass.ADMIN

ROUTES = (
    Route(method="GET", path="/api/:app/_admin/export", access=_ADMIN, handler=export_app),
    Route(method="POST", path="/api/:app/_admin/import", access=_ADMIN, handler=import_app),
)
