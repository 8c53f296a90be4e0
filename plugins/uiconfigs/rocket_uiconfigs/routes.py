"""What every signed-in caller may read: the configs of the scope `default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import AccessClass, Model, Request, Response, Route, data
from rocket_uiconfigs.described import get_operation, list_operation
from rocket_uiconfigs.model import DEFAULT_SCOPE, KIND, UI_CONFIGS


async def list_configs(request: Request) -> Response:
    async with request.app.reading() as (_session, registry):
        found = _default_rows(registry.model)
    return data([found[entity] for entity in sorted(found)])


async def get_config(request: Request) -> Response:
    """Null for an entity without config, and for one that is not there: clients then show it their own way."""
    async with request.app.reading() as (_session, registry):
        return data(_default_rows(registry.model).get(request.params["entity"]))


def _default_rows(model: Model) -> dict[str, Mapping[str, Any]]:
    stored = model.of(KIND).values()
    return {item.item.entity: item.row for item in stored if item.item.scope == DEFAULT_SCOPE}


_SIGNED_IN = AccessClass.AUTHENTICATED

ROUTES = (
    Route(
        method="GET",
        path="/api/:app/_ui/configs",
        access=_SIGNED_IN,
        handler=list_configs,
        operation=list_operation(UI_CONFIGS),
    ),
    Route(
        method="GET",
        path="/api/:app/_ui/config/:entity",
        access=_SIGNED_IN,
        handler=get_config,
        operation=get_operation(UI_CONFIGS),
    ),
)
