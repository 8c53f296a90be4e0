"""The routes of the plugin beside those of its collection."""

from __future__ import annotations

from rocket_kernel import AccessClass, NotFound, Request, Response, Route
from rocket_statemachines.described import DIAGRAM, describe_transitions
from rocket_statemachines.diagram import mermaid
from rocket_statemachines.kind import KIND, NOUN, STATE_MACHINE_KIND
from rocket_statemachines.transitions import list_transitions

TEXT_TYPE = "text/plain; charset=utf-8"


async def show_diagram(request: Request) -> Response:
    id_text = request.params["id"]
    async with request.app.reading(request.actor) as (_session, registry):
        stored = registry.model.of(KIND).get(id_text.lower())
    if stored is None:
        raise NotFound(f"{NOUN} not found: {id_text}")
    return Response(200, mermaid(stored.item).encode(), {"Content-Type": TEXT_TYPE})


ROUTES = (
    Route(
        method="GET",
        path="/api/:app/:entity/:id/_transitions",
        access=AccessClass.PERMISSION,
        handler=list_transitions,
        operation=describe_transitions,
        confirms_caller=True,
    ),
    Route(
        method="GET",
        path=f"/api/:app/_admin/{STATE_MACHINE_KIND.path}/:id/diagram",
        access=AccessClass.ADMIN,
        handler=show_diagram,
        operation=DIAGRAM,
        confirms_caller=True,
    ),
)
