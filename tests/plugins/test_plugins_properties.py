"""Properties of entities that plugins give their meaning, and listeners to imports."""

import pytest

from rocket_kernel import Conflict, Plugin, hookimpl
from rocket_kernel.errors import PluginError
from rocket_kernel.testing import assert_error, entity

AUDITED = entity("note", {"audit": True}, text="string!")
NUMBERED = entity("page", {"soft_delete": True}, id="int", text="string! unique")
NOT_ENABLED = "plugin 'instrumentation' is not enabled"


def naming(*names, plugin="witness"):
    class Witness(Plugin):
        name = plugin

        @hookimpl
        def register_entity_properties(self):
            return list(names)

    return Witness


class Clerk(Plugin):
    """Writes down what an import brings, and refuses what it is told to."""

    name = "clerk"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.seen = []
        self.refused = ""

    @hookimpl
    def compile_import_listener(self, entity, model):
        assert entity.name in model.entities
        return self.note if entity.name == "page" else None

    async def note(self, rows, tx, call):
        self.seen += [(row["id"], row["text"], call.actor.is_admin, call.now, len(call.trace_id)) for row in rows]
        if any(row["text"] == self.refused for row in rows):
            raise Conflict("not that one")


async def test_a_property_that_no_plugin_names_is_refused_with_the_plugin_that_would(client):
    finding = {"field": "audit", "message": NOT_ENABLED}
    refused = await client.post("_admin/entities", AUDITED)
    assert_error(refused, 422, "VALIDATION_FAILED", NOT_ENABLED, details=[finding])
    (await client.post("_admin/entities", {**AUDITED, "audit": False})).require(201)
    assert_error(await client.put("_admin/entities/note", AUDITED), 422, "VALIDATION_FAILED", NOT_ENABLED)
    imported = await client.post("_admin/import", {"version": 1, "entities": [{**AUDITED, "name": "other"}]})
    assert imported.data["errors"] == [f"entity other: {NOT_ENABLED}"]


async def test_a_property_that_a_plugin_names_is_kept(start_kernel):
    client = await (await start_kernel([naming("audit")])).client.app("shop")
    made = (await client.post("_admin/entities", AUDITED)).require(201).data
    assert (made["audit"], made["definition"]["audit"]) == (True, True)


@pytest.mark.parametrize(
    ("plugins", "problem"),
    [
        ([naming("soft_delete")], "'soft_delete' is no property that the kernel leaves to plugins"),
        ([naming("audit"), naming("audit", plugin="zeal")], "property 'audit' belongs to 'witness'"),
    ],
)
async def test_names_that_are_taken_or_unknown_stop_the_start(start_kernel, plugins, problem):
    with pytest.raises(PluginError, match="register_entity_properties") as stopped:
        await start_kernel(plugins)
    assert problem in str(stopped.value)


async def test_listeners_are_told_of_rows_with_keys_once_and_of_no_others(start_kernel, clock):
    running = await start_kernel([Clerk])
    client, clerk = await running.client.app("shop"), running.kernel.parts.plugins.find("clerk")
    rows = [{"text": "a"}, {"id": 50, "text": "b"}, {"text": "a"}, {"text": None}, {"text": "c"}]
    document = {"version": 1, "entities": [NUMBERED, entity("x", name="string")]}
    document["sample_data"] = {"page": rows, "x": [{"name": "n"}]}
    for _ in range(2):
        (await client.post("_admin/import", document)).require(200)
    stored = {(row["id"], row["text"]) for row in (await client.get("page")).data}
    assert {seen[:2] for seen in clerk.seen} == stored
    assert len(clerk.seen) == len(stored) == 3
    assert {seen[2:] for seen in clerk.seen} == {(True, "2026-01-02T03:04:05.678Z", 36)}


async def test_what_a_listener_raises_ends_the_import(start_kernel):
    running = await start_kernel([Clerk])
    client = await running.client.app("shop")
    running.kernel.parts.plugins.find("clerk").refused = "b"
    document = {"version": 1, "entities": [NUMBERED], "sample_data": {"page": [{"text": "a"}, {"text": "b"}]}}
    assert_error(await client.post("_admin/import", document), 409, "CONFLICT", "not that one")
    assert (await client.get("_admin/entities")).data == []
