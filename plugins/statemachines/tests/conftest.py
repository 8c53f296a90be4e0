"""What the tests of state machines share: an invoice with a machine, and callers."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rocket_kernel import Actor, Plugin, Stage, Step, hookimpl
from rocket_kernel.testing import Actors, Client, StartKernel, entity
from rocket_statemachines import StateMachinesPlugin

INVOICE = entity(
    "invoice",
    number="string",
    status="string default=unset",
    total="decimal:2",
    voided_at="timestamp",
    note="string",
)
MACHINE = {
    "entity": "invoice",
    "field": "status",
    "definition": {
        "initial": "draft",
        "transitions": [
            {"from": "draft", "to": "sent"},
            {
                "from": ["draft", "sent"],
                "to": "void",
                "roles": ["Manager"],
                "guard": "record.total < 1000",
                "actions": [{"type": "set_field", "field": "voided_at", "value": "now"}],
            },
        ],
    },
}


def caller(number: int, *roles: str) -> Actor:
    id = f"00000000-0000-4000-8000-{number:012}"
    return Actor(id=id, email=f"user{number}@example.com", roles=frozenset(roles))


CLERK, MANAGER = caller(1, "clerk"), caller(2, "manager")

StartShop = Callable[..., Awaitable[Client]]


def finding(message: str, field: str = "status") -> dict[str, str]:
    return {"field": field, "rule": "state_machine", "message": message}


MISSING = object()


def changed(path: str, value: Any) -> Any:
    """The machine of the tests with one member replaced, or left out: `changed("definition.transitions.1.to", 5)`."""
    body = copy.deepcopy(MACHINE)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = body
    for part in way:
        place = place[part]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return body


def with_action(action: Any) -> Any:
    return changed("definition.transitions.0.actions", [{"type": "set_field", "field": "note", "value": 1}, action])


def plugin(name: str, *hooks: Any, **members: Any) -> type[Plugin]:
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


def set_field(field: str, value: Any) -> dict[str, Any]:
    return {"type": "set_field", "field": field, "value": value}


def create_record(entity: str, **data: Any) -> dict[str, Any]:
    return {"type": "create_record", "entity": entity, "data": data}


def machine(*actions: Any, field: str = "status", entity: str = "invoice", **more: Any) -> dict[str, Any]:
    """From `a` to `b` with these actions, and back."""
    move = {"from": "a", "to": "b", "actions": list(actions), **more}
    back = {"from": "b", "to": "a"}
    return {"entity": entity, "field": field, "definition": {"initial": "a", "transitions": [move, back]}}


LOG = entity(
    "log", by="uuid", email="string", at="timestamp", was="decimal:2", total="decimal:2", text="string!", meta="json"
)


def steps(stage: str, run: Any, on: str) -> type[Plugin]:
    """A plugin with one step in the writes of one entity."""

    def compile_write_steps(self: Any, entity: Any) -> list[Step]:
        return [Step(Stage(stage), "other:step", run)] if entity.name == on else []

    return plugin("other", compile_write_steps)


async def invoice(client: Client, **values: Any) -> str:
    """The path of a new one."""
    return f"invoice/{(await client.create('invoice', values))['id']}"


async def rows(client: Client, name: str = "log") -> Any:
    return (await client.get(name)).data


@pytest.fixture
def start_shop(start_kernel: StartKernel) -> StartShop:
    """A client of an app with invoices, on a kernel with state machines, callers and further plugins."""

    async def start(*plugins: Any, machine: Any = MACHINE, **config: Any) -> Client:
        running = await start_kernel([StateMachinesPlugin, Actors, *plugins], config=config)
        client = await running.client.app("shop")
        await client.define(INVOICE)
        if machine is not None:
            (await client.post("_admin/state-machines", machine)).require(201)
        return client

    return start


@pytest.fixture
async def shop(start_shop: StartShop) -> Client:
    return await start_shop()
