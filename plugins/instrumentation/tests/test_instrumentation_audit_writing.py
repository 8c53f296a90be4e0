"""Each create, update and delete of an audited record leaves one row, in the transaction of its writer."""

import asyncio

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_instrumentation.audit_table import ROWS
from rocket_kernel import Conflict, Plugin, RocketError, Stage, Step, hookimpl
from rocket_kernel.testing import ADMIN, Actors, entity, many_to_many, one_to_many

AUDIT = {"audit": True}
TRACE = "11111111-1111-4111-8111-111111111111"
ORDER = entity("order", AUDIT, number="string!", total="decimal:2", at="timestamp auto=update", pin="string sensitive")
LINE = entity("line", AUDIT, order_id="uuid", sku="string! unique", qty="int")
NOTE = entity("note", AUDIT, order_id="uuid", text="string")
TAG = entity("tag", AUDIT, id="int", name="string!")
PLAIN = entity("plain", order_id="uuid", name="string")
RELATIONS = (
    one_to_many("lines", "order", "line", on_delete="cascade"),
    one_to_many("notes", "order", "note", on_delete="set_null"),
    many_to_many("tags", "order", "tag"),
    one_to_many("plains", "order", "plain"),
)


class Meddler(Plugin):
    """Does what the test asks for when an order has been stored."""

    name = "meddler"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.then = None

    @hookimpl
    def compile_write_steps(self, entity):
        return [Step(Stage.AFTER_WRITE, "meddler:then", self.meddle)] if entity.name == "order" else []

    async def meddle(self, write):
        if self.then is not None:
            await self.then(write)


@pytest.fixture
async def shop(start_kernel):
    running = await start_kernel([InstrumentationPlugin, Actors, Meddler])
    client = await running.client.app("shop")
    await client.define(ORDER, LINE, NOTE, TAG, PLAIN)
    await client.relate(*RELATIONS)
    return client


def meddler(shop):
    return shop.kernel.parts.plugins.find("meddler")


async def kept(shop):
    """All rows, oldest first: what happened to which entity."""
    app = await shop.kernel.apps.app("shop")
    async with app.reading() as (session, _):
        return await ROWS.select(session, order_by=("seq",))


async def told(shop):
    return [(row["entity"], row["action"]) for row in await kept(shop)]


async def test_create_update_and_delete_leave_a_row_each(shop, clock):
    made = await shop.post("order", {"number": "1", "total": "9.5"}, headers={"X-Trace-ID": TRACE})
    id, first = made.data["id"], made.data["at"]
    clock.advance(seconds=5)
    (await shop.patch(f"order/{id}", {"total": "10"})).require(200)
    (await shop.delete(f"order/{id}")).require(200)
    created, updated, deleted = await kept(shop)
    at = "2026-01-02T03:04:10.678Z"
    assert (created["record_id"], created["trace_id"], created["created_at"]) == (id, TRACE, first)
    assert [row["user_id"] for row in (created, updated, deleted)] == [ADMIN.id] * 3
    assert {row["user_email"] for row in (created, updated, deleted)} == {ADMIN.email}
    assert created["changes"] == {
        "id": {"old": None, "new": id},
        "number": {"old": None, "new": "1"},
        "total": {"old": None, "new": "9.50"},
        "at": {"old": None, "new": first},
    }
    assert updated["changes"] == {"total": {"old": "9.50", "new": "10.00"}, "at": {"old": first, "new": at}}
    assert deleted["changes"] == {
        "id": {"old": id, "new": None},
        "number": {"old": "1", "new": None},
        "total": {"old": "10.00", "new": None},
        "at": {"old": at, "new": None},
    }
    assert [row["action"] for row in (created, updated, deleted)] == ["create", "update", "delete"]


async def test_equal_values_are_no_change_and_an_update_of_nothing_is_told_all_the_same(shop):
    note = await shop.create("note", {"text": "a"})
    (await shop.put(f"note/{note['id']}", {"text": "a"})).require(200)
    (await shop.put(f"note/{note['id']}", {})).require(200)
    assert [row["changes"] for row in (await kept(shop))[1:]] == [{}, {}]


async def test_entities_without_audit_leave_nothing(shop):
    plain = await shop.create("plain", {"name": "a"})
    await shop.patch(f"plain/{plain['id']}", {"name": "b"})
    await shop.delete(f"plain/{plain['id']}")
    assert await kept(shop) == []


async def test_each_record_of_a_nested_write_leaves_its_own_row(shop):
    body = {
        "number": "1",
        "lines": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}],
        "tags": [{"name": "urgent"}],
        "plains": [{"name": "unseen"}],
    }
    order = await shop.create("order", body)
    rows = await kept(shop)
    assert sorted((row["entity"], row["action"]) for row in rows) == [
        ("line", "create"),
        ("line", "create"),
        ("order", "create"),
        ("tag", "create"),
    ]
    assert len({row["trace_id"] for row in rows}) == 1
    (tag,) = [row for row in rows if row["entity"] == "tag"]
    assert (tag["record_id"], tag["changes"]["id"]) == ("1", {"old": None, "new": 1})
    lines = (await shop.get("line?sort=sku")).data
    change = {"lines": [{"id": lines[0]["id"], "qty": 9}, {"id": lines[1]["id"], "_delete": True}]}
    (await shop.patch(f"order/{order['id']}", change)).require(200)
    later = {(row["entity"], row["action"]): row["changes"] for row in (await kept(shop))[4:]}
    assert set(later) == {("order", "update"), ("line", "update"), ("line", "delete")}
    assert later["line", "update"] == {"qty": {"old": 1, "new": 9}}
    assert later["line", "delete"]["sku"] == {"old": "B", "new": None}


async def test_a_link_is_a_write_of_the_record_that_it_is_written_with(shop):
    tag = await shop.create("tag", {"name": "urgent"})
    order = await shop.create("order", {"number": "1"})
    before = len(await kept(shop))
    (await shop.patch(f"order/{order['id']}", {"tags": [{"id": tag["id"]}]})).require(200)
    (await shop.patch(f"order/{order['id']}", {"tags": [{"id": tag["id"], "_delete": True}]})).require(200)
    assert (await told(shop))[before:] == [("order", "update"), ("order", "update")]


async def test_what_a_deletion_takes_along_is_told_of_the_one_who_deletes(shop):
    body = {"number": "1", "lines": [{"sku": "A"}, {"sku": "B"}], "notes": [{"text": "kept"}]}
    order = await shop.create("order", body)
    before = len(await kept(shop))
    (await shop.delete(f"order/{order['id']}")).require(200)
    rows = (await kept(shop))[before:]
    assert sorted((row["entity"], row["action"]) for row in rows) == [
        ("line", "delete"),
        ("line", "delete"),
        ("note", "update"),
        ("order", "delete"),
    ]
    (note,) = [row for row in rows if row["entity"] == "note"]
    assert note["changes"] == {"order_id": {"old": order["id"], "new": None}}
    assert {row["user_id"] for row in rows} == {ADMIN.id}


async def test_keys_that_are_cleared_in_softly_deleted_records_are_told(shop):
    await shop.define(entity("box", name="string"), entity("card", {**AUDIT, "soft_delete": True}, box_id="uuid"))
    await shop.relate(one_to_many("cards", "box", "card", on_delete="set_null"))
    box = await shop.create("box", {"name": "a"})
    gone, there = [await shop.create("card", {"box_id": box["id"]}) for _ in range(2)]
    await shop.delete(f"card/{gone['id']}")
    await shop.create("box", {"name": "b"})
    before = len(await kept(shop))
    (await shop.delete(f"box/{box['id']}")).require(200)
    rows = (await kept(shop))[before:]
    change = {"box_id": {"old": box["id"], "new": None}}
    assert {row["record_id"]: row["changes"] for row in rows} == {gone["id"]: change, there["id"]: change}
    assert [row["action"] for row in (await shop.get(f"card/{gone['id']}/_history")).data] == [
        "update",
        "delete",
        "create",
    ]


async def test_a_write_that_is_refused_leaves_nothing(shop):
    async def veto(write):
        raise Conflict("no")

    await shop.create("line", {"sku": "A"})
    meddler(shop).then = veto
    assert (await shop.post("order", {"number": "1", "lines": [{"sku": "B"}]})).status == 409
    meddler(shop).then = None
    assert (await shop.post("order", {"number": "1", "lines": [{"sku": "A"}]})).status == 409
    assert (await shop.post("order", {"number": "1", "lines": [{"qty": "x"}]})).status == 422
    assert await told(shop) == [("line", "create")]


async def test_explain_leaves_nothing(shop):
    note = await shop.create("note", {"text": "a"})
    for method, path in (("POST", "note"), ("PATCH", f"note/{note['id']}"), ("DELETE", f"note/{note['id']}")):
        explained = await shop.request(method, f"{path}?explain=true", {"text": "b"})
        steps = [step["name"] for step in explained.require(200).data["steps"]]
        assert "instrumentation:audit" in steps
    assert await told(shop) == [("note", "create")]


async def test_a_create_that_is_sent_again_leaves_no_second_row(shop):
    for _ in range(2):
        (await shop.post("note", {"text": "a"}, headers={"Idempotency-Key": "k"})).require(201)
    assert await told(shop) == [("note", "create")]


async def test_writes_of_steps_are_told_and_those_undone_are_not(shop):
    async def write_further(write):
        await write.run.create("note", {"text": "from a step"})
        with pytest.raises(RocketError):
            await write.run.create("order", {"lines": [{"sku": "C"}]})

    meddler(shop).then = write_further
    (await shop.post("order", {"number": "1"})).require(201)
    rows = await kept(shop)
    assert sorted((row["entity"], row["user_id"]) for row in rows) == [("note", None), ("order", ADMIN.id)]


async def test_sensitive_values_are_not_even_stored(shop):
    order = await shop.create("order", {"number": "1", "pin": "secret-1"})
    await shop.patch(f"order/{order['id']}", {"pin": "secret-2"})
    await shop.delete(f"order/{order['id']}")
    masked = {"old": "***", "new": "***"}
    assert [row["changes"]["pin"] for row in await kept(shop)] == [masked] * 3
    assert "secret" not in str(await kept(shop))


async def test_imported_rows_are_told_once(shop):
    rows = [{"name": "a"}, {"id": 7, "name": "b"}, {"name": None}, {"id": "x"}]
    data = {"tag": rows, "line": [{"sku": "A"}, {"sku": "A", "qty": 2}], "plain": [{"name": "x"}]}
    document = {"version": 1, "entities": [TAG, LINE, PLAIN], "sample_data": data}
    (await shop.post("_admin/import?mode=plan", document)).require(200)
    assert await kept(shop) == []
    for _ in range(2):
        (await shop.post("_admin/import", document)).require(200)
    found = sorted((row["entity"], row["action"], row["user_id"]) for row in await kept(shop))
    assert found == [("line", "create", ADMIN.id), ("tag", "create", ADMIN.id), ("tag", "create", ADMIN.id)]
    tags = {row["record_id"]: row["changes"]["name"]["new"] for row in await kept(shop) if row["entity"] == "tag"}
    assert {record["name"]: str(record["id"]) for record in (await shop.get("tag")).data} == {
        name: key for key, name in tags.items()
    }


async def test_rows_of_one_record_follow_each_other_without_a_gap(shop):
    tag = await shop.create("tag", {"name": "start"})
    names = [f"n{number}" for number in range(12)]
    answers = await asyncio.gather(*(shop.patch(f"tag/{tag['id']}", {"name": name}) for name in names))
    assert {answer.status for answer in answers} == {200}
    steps = [row["changes"]["name"] for row in await kept(shop)]
    assert [step["old"] for step in steps] == [None, *(step["new"] for step in steps[:-1])]
    assert steps[-1]["new"] == (await shop.get(f"tag/{tag['id']}")).data["name"]
