"""Where a record may go from here, true to what a PUT would answer: contract §8.4; and the diagrams."""

from dataclasses import dataclass

import pytest

from rocket_kernel import Compare, Forbidden, Plugin, ReadGrant, Stage, Step, hookimpl
from rocket_kernel.testing import assert_error, entity

from .conftest import CLERK, MACHINE, MANAGER, caller, changed

DIAGRAM = """stateDiagram-v2
    state "draft" as s0
    state "sent" as s1
    state "void" as s2
    [*] --> s0
    s0 --> s1
    s0 --> s2: manager #91;record.total #60; 1000#93;
    s1 --> s2: manager #91;record.total #60; 1000#93;
    s2 --> [*]
"""


@dataclass(frozen=True)
class Rows:
    """Clerks read invoices without number 0 and, of others than number 1, not the status."""

    entity: object

    def grant(self, actor):
        if "stranger" in actor.roles:
            raise Forbidden(f"No permission for read on {self.entity.name}")
        if "clerk" not in actor.roles:
            return ReadGrant()
        names = frozenset(self.entity.fields)
        return ReadGrant(
            condition=Compare(self.entity.fields["number"], "neq", "0"),
            visible=lambda record: names if record["number"] == "1" else names - {"status"},
        )


class Permissions(Plugin):
    name = "permissions"

    @hookimpl
    def compile_read_policy(self, entity):
        return Rows(entity) if "number" in entity.fields else None

    @hookimpl
    def compile_write_steps(self, entity):
        return [
            Step(Stage.AUTHORIZE, "permissions:gate", self.gate),
            Step(Stage.LOAD, "permissions:row", self.row, frozenset({"update"})),
        ]

    async def gate(self, write):
        if write.action == "update" and "reader" in write.actor.roles:
            raise Forbidden(f"No permission for update on {write.entity.name}")

    async def row(self, write):
        if "owner" in write.actor.roles and write.old["number"] == "9":
            raise Forbidden(f"Permission denied for update on {write.entity.name}")
        if "scribe" in write.actor.roles:
            write.limit(frozenset({"note"}))


async def make(client, **values):
    return f"invoice/{(await client.create('invoice', values))['id']}"


def row(to, reason=None, source="draft", field="status"):
    return {"field": field, "from": source, "to": to, "allowed": reason is None, "reason": reason}


async def listed(client, path):
    return (await client.get(f"{path}/_transitions")).require(200).data


async def test_every_state_that_follows_is_listed_once_with_the_reason_against_it(shop):
    path = await make(shop, total="5000")
    blocked = "Transition from 'draft' to 'void' blocked by guard"
    forbidden = "Transition from 'draft' to 'void' not permitted for your role"
    assert await listed(shop, path) == [row("sent"), row("void", blocked)]
    assert await listed(shop.as_actor(MANAGER), path) == [row("sent"), row("void", blocked)]
    assert await listed(shop.as_actor(CLERK), path) == [row("sent"), row("void", forbidden)]
    (await shop.put(path, {"status": "void", "total": "5"})).require(200)
    assert await listed(shop, path) == []


async def test_nothing_is_written_by_asking(shop):
    path = await make(shop, total="5")
    before = (await shop.get(path)).data
    assert await listed(shop, path) == [row("sent"), row("void")]
    assert (await shop.get(path)).data == before


async def test_an_entity_without_machines_has_no_transitions(start_shop):
    client = await start_shop(machine=None)
    path = await make(client)
    assert await listed(client, path) == []
    (await client.post("_admin/state-machines", {**MACHINE, "active": False})).require(201)
    assert await listed(client, path) == []


async def test_a_record_without_a_state_may_take_the_initial_one(start_shop):
    client = await start_shop(machine=None)
    path = await make(client, status=None)
    (await client.post("_admin/state-machines", MACHINE)).require(201)
    assert await listed(client.as_actor(CLERK), path) == [row("draft", source=None)]


async def test_machines_are_listed_by_field_and_states_once(start_shop):
    client = await start_shop()
    moves = [
        {"from": "n", "to": "n", "guard": "false"},
        {"from": "n", "to": "m", "roles": ["boss"]},
        {"from": ["n", "m"], "to": "m"},
    ]
    second = {"entity": "invoice", "field": "note", "definition": {"initial": "n", "transitions": moves}}
    (await client.post("_admin/state-machines", second)).require(201)
    path = await make(client, total="5")
    # A record that stays as it is passes.
    notes = [row("n", source="n", field="note"), row("m", source="n", field="note")]
    assert await listed(client, path) == [*notes, row("sent"), row("void")]
    assert await listed(client.as_actor(MANAGER), path) == [*notes, row("sent"), row("void")]


async def test_what_the_caller_may_not_read_shows_nothing(start_shop):
    client = await start_shop(Permissions)
    hidden, shown, blind = [await make(client, number=number) for number in ("0", "1", "2")]
    clerk = client.as_actor(CLERK)
    missing = "00000000-0000-4000-8000-00000000dead"
    for path in (hidden, f"invoice/{missing}"):
        answer = await clerk.get(f"{path}/_transitions")
        assert_error(answer, 404, "NOT_FOUND", f"invoice with id {path.split('/')[1]} not found", [])
    assert [entry["to"] for entry in await listed(clerk, shown)] == ["sent", "void"]
    # The state is hidden, so are the ways out of it.
    assert await listed(clerk, blind) == []
    stranger = client.as_actor(caller(7, "stranger"))
    for path in (hidden, shown, f"invoice/{missing}"):
        answer = await stranger.get(f"{path}/_transitions")
        assert_error(answer, 403, "FORBIDDEN", "No permission for read on invoice", [])
    assert_error(await client.get(f"nothing/{missing}/_transitions"), 404, "UNKNOWN_ENTITY", "Unknown entity: nothing")


async def test_update_permission_counts(start_shop):
    client = await start_shop(Permissions)
    path = await make(client, number="9", total="5")
    for role, reason in (
        ("reader", "No permission for update on invoice"),
        ("owner", "Permission denied for update on invoice"),
        ("scribe", "No permission to write status"),
    ):
        someone = client.as_actor(caller(8, role, "manager"))
        assert await listed(someone, path) == [row("sent", reason), row("void", reason)]


async def test_a_state_that_the_field_does_not_take_is_told(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("task", state="string enum=a|b"))
    moves = [{"from": "a", "to": "b"}, {"from": "a", "to": "c"}]
    machine = {"entity": "task", "field": "state", "definition": {"initial": "a", "transitions": moves}}
    (await client.post("_admin/state-machines", machine)).require(201)
    path = f"task/{(await client.create('task', {}))['id']}"
    rows = await listed(client, path)
    assert [(entry["to"], entry["reason"]) for entry in rows] == [("b", None), ("c", "state must be one of: a, b")]


async def test_a_guard_is_tried_on_what_rules_make_of_the_record(start_shop):
    @hookimpl
    def compile_write_steps(self, entity):
        async def compute(write):
            write.assign("total", "999" if write.record["status"] == "void" else "5000")
            if write.record["note"] == "bad":
                write.fail("bad note", field="note", rule="expression")

        return [Step(Stage.RULES, "sums:total", compute)] if entity.name == "invoice" else []

    sums = type("Sums", (Plugin,), {"name": "sums", "compile_write_steps": compile_write_steps})
    client = await start_shop(sums)
    path = await make(client, note="x")
    assert await listed(client, path) == [row("sent"), row("void")]
    (await client.put(path, {"status": "void"})).require(200)


@pytest.mark.parametrize("who", [None, CLERK, MANAGER])
@pytest.mark.parametrize("total", ["5", "5000", None])
async def test_what_is_said_is_what_a_put_answers(start_shop, who, total):
    client = await start_shop(machine=changed("definition.transitions.0.guard", "record.total > 10"))
    asking = client if who is None else client.as_actor(who)
    for target in ("sent", "void"):
        path = await make(client, total=total)
        (told,) = [entry for entry in await listed(asking, path) if entry["to"] == target]
        answer = await asking.put(path, {"status": target})
        if told["allowed"]:
            assert (answer.status, told["reason"]) == (200, None)
        else:
            details = answer.error.get("details") or [answer.error]
            assert (answer.status in (403, 422), details[0]["message"]) == (True, told["reason"])


async def test_other_methods_are_refused(shop):
    path = await make(shop)
    for method in ("POST", "PUT", "DELETE"):
        answer = await shop.request(method, f"{path}/_transitions", *([{}] if method != "DELETE" else []))
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert (await shop.get(f"{path}/_TRANSITIONS/")).status == 200


async def test_the_diagram_of_a_machine(shop):
    (machine,) = (await shop.get("_admin/state-machines")).data
    answer = (await shop.get(f"_admin/state-machines/{machine['id']}/diagram")).require(200)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text == DIAGRAM


async def test_nothing_in_a_name_is_taken_for_a_word_of_the_diagram(start_shop):
    client = await start_shop(machine=None)
    names = ['a"b', "a\nb --> c", "end note", "[*]", "a;b", "a%%{init: {}}%%", "#35;", "<b>x</b>", "état 1"]
    moves = [{"from": "x", "to": name, "roles": ['r"\n']} for name in names]
    machine = {"entity": "invoice", "field": "status", "definition": {"initial": "x", "transitions": moves}}
    made = (await client.post("_admin/state-machines", machine)).require(201).data
    lines = (await client.get(f"_admin/state-machines/{made['id']}/diagram")).text.splitlines()
    shown = {line.split('"')[1] for line in lines if line.startswith("    state ")}
    assert shown == {
        "x",
        "a#34;b",
        "a b --#62; c",
        "end note",
        "#91;#42;#93;",
        "a#59;b",
        "a#37;#37;#123;init#58; #123;#125;#125;#37;#37;",
        "#35;35#59;",
        "#60;b#62;x#60;/b#62;",
        "état 1",
    }
    assert all(line.count('"') in (0, 2) for line in lines)
    assert len(lines) == 1 + 10 + 1 + 9 + 9
    assert lines[12] == "    s0 --> s1: r#34; "
