"""`GET /:entity/:id/_history`: as tight as reading the record."""

import pytest

from rocket_instrumentation import InstrumentationPlugin
from rocket_kernel import Actor, Compare, Forbidden, Plugin, ReadGrant, hookimpl
from rocket_kernel.testing import ADMIN, Actors, assert_error, entity

AUDIT = {"audit": True}
STAFF = Actor(id="00000000-0000-4000-8000-00000000000a", email="ann@example.com", roles=frozenset({"staff"}))
STRANGER = Actor(id="00000000-0000-4000-8000-00000000000b", email=None, roles=frozenset({"nobody"}))
WATCHED = Actor(id="00000000-0000-4000-8000-00000000000c", email=None, roles=frozenset({"admin", "watched"}))
NO_ID = "12345678-90ab-4cde-8f01-234567890abc"
TASK = entity(
    "task",
    {**AUDIT, "slug": {"field": "slug", "source": "title"}},
    title="string!",
    slug="string unique",
    cost="int",
    public="boolean",
    pin="string sensitive",
)
FORM = entity(
    "form", {**AUDIT, "primary_key": {"field": "id", "type": "int"}}, id="int", text="string", public="boolean"
)
DRAWER = entity("drawer", {**AUDIT, "soft_delete": True}, text="string", public="boolean")


class TasksPolicy:
    """Staff sees public rows, and the cost of none but its own."""

    def __init__(self, entity):
        self.entity = entity

    def grant(self, actor):
        if "nobody" in actor.roles:
            raise Forbidden(f"No permission for read on {self.entity.name}")
        if actor.is_admin and "watched" not in actor.roles:
            return ReadGrant()
        shown = frozenset(self.entity.fields) - {"cost"}
        return ReadGrant(
            condition=Compare(self.entity.fields["public"], "eq", True),
            visible=lambda row: shown | {"cost"} if row.get("title") == "mine" else shown,
        )


class Policies(Plugin):
    name = "policies"

    @hookimpl
    def compile_read_policy(self, entity):
        return TasksPolicy(entity) if "public" in entity.fields else None


@pytest.fixture
async def shop(start_kernel):
    running = await start_kernel([InstrumentationPlugin, Actors, Policies])
    client = await running.client.app("shop")
    await client.define(TASK, FORM, DRAWER, entity("plain", name="string"))
    return client


async def history(client, path, **params):
    return (await client.get(f"{path}/_history", params=params)).require(200).data


async def test_newest_first_with_the_members_of_the_contract(shop):
    task = await shop.create("task", {"title": "a", "pin": "1234"})
    await shop.patch(f"task/{task['id']}", {"title": "b"})
    answer = (await shop.get(f"task/{task['id']}/_history")).require(200)
    updated, created = answer.data
    assert list(updated) == ["id", "action", "user_id", "user_email", "trace_id", "changes", "created_at"]
    assert (updated["action"], updated["user_id"], updated["user_email"]) == ("update", ADMIN.id, ADMIN.email)
    assert updated["changes"] == {"title": {"old": "a", "new": "b"}}
    assert created["changes"]["pin"] == {"old": "***", "new": "***"}
    assert answer.meta == {"page": 1, "per_page": 25, "total": 2, "total_pages": 1}
    assert answer.headers["Cache-Control"] == "no-store"


async def test_pages(shop):
    task = await shop.create("task", {"title": "0"})
    for number in range(1, 5):
        await shop.patch(f"task/{task['id']}", {"title": str(number)})
    page = (await shop.get(f"task/{task['id']}/_history?page=2&per_page=2")).require(200)
    assert [row["changes"]["title"]["new"] for row in page.data] == ["2", "1"]
    assert page.meta == {"page": 2, "per_page": 2, "total": 5, "total_pages": 3}
    past = (await shop.get(f"task/{task['id']}/_history?page=9")).require(200)
    assert (past.data, past.meta["total"]) == ([], 5)


@pytest.mark.parametrize(
    ("query", "page", "per_page"),
    [
        ("page=-1", 1, 25),
        ("page=x&per_page=y", 1, 25),
        ("per_page=100000", 1, 200),
        ("per_page=-5&page=0", 1, 25),
        ("page=1e99", 10**9, 25),
    ],
)
async def test_pages_that_are_none_are_cut_to_size(shop, query, page, per_page):
    task = await shop.create("task", {"title": "a"})
    meta = (await shop.get(f"task/{task['id']}/_history?{query}")).require(200).meta
    assert (meta["page"], meta["per_page"], meta["total"]) == (page, per_page, 1)


async def test_what_has_no_history(shop):
    plain = await shop.create("plain", {"name": "a"})
    assert_error(await shop.get(f"plain/{plain['id']}/_history"), 404, "NOT_FOUND", "No history for plain")
    assert_error(await shop.get(f"nothing/{NO_ID}/_history"), 404, "UNKNOWN_ENTITY", "Unknown entity: nothing")
    for id in (NO_ID, "no-uuid", "%00", "'%3B--", "a%2Fb"):
        assert (await shop.get(f"task/{id}/_history")).status == 404
    assert_error(await shop.get(f"task/{NO_ID}/_history"), 404, "NOT_FOUND", f"task with id {NO_ID} not found")
    for id in ("x", "99999999999", "-1"):
        assert_error(await shop.get(f"form/{id}/_history"), 404, "NOT_FOUND", f"form with id {id} not found")
    assert (await shop.post(f"task/{NO_ID}/_history", {})).status == 405


async def test_a_slug_names_the_record_and_ids_are_read_like_those_of_get(shop):
    task = await shop.create("task", {"title": "My Task"})
    assert len(await history(shop, "task/my-task")) == 1
    assert len(await history(shop, f"task/{task['id'].upper()}")) == 1
    await shop.create("form", {"id": 7})
    assert len(await history(shop, "form/007")) == len(await history(shop, "form/7")) == 1


async def test_hidden_rows_have_no_history_and_closed_entities_neither(shop):
    shown = await shop.create("task", {"title": "a", "public": True})
    hidden = await shop.create("task", {"title": "b", "public": False})
    staff, stranger = shop.as_actor(STAFF), shop.as_actor(STRANGER)
    assert len(await history(staff, f"task/{shown['id']}")) == 1
    for id in (hidden["id"], NO_ID, "b"):
        refused = await staff.get(f"task/{id}/_history")
        assert refused.body == (await staff.get(f"task/{id}")).body
        assert refused.status == 404
    closed = await stranger.get(f"task/{shown['id']}/_history")
    assert_error(closed, 403, "FORBIDDEN", "No permission for read on task")


async def test_hidden_fields_show_neither_in_changes_nor_as_rows(shop):
    ids = []
    for cost in ([1, 2, 3], []):
        task = await shop.create("task", {"title": "a", "public": True, "cost": 0 if cost else None})
        ids.append(task["id"])
        for value in cost:
            await shop.patch(f"task/{task['id']}", {"cost": value})
        await shop.patch(f"task/{task['id']}", {"title": "b", **({"cost": 9} if cost else {})})
    staff = shop.as_actor(STAFF)
    answers = [(await staff.get(f"task/{id}/_history?per_page=2")).require(200) for id in ids]
    own = dict.fromkeys(("id", "slug"))
    worlds = [([(row["action"], {**row["changes"], **own}) for row in answer.data], answer.meta) for answer in answers]
    assert worlds[0] == worlds[1]
    assert "cost" not in answers[0].text
    assert len(await history(shop, f"task/{ids[0]}")) == 5


async def test_fields_show_to_whom_the_record_shows_them_today(shop):
    task = await shop.create("task", {"title": "mine", "public": True, "cost": 5})
    staff = shop.as_actor(STAFF)
    assert (await history(staff, f"task/{task['id']}"))[0]["changes"]["cost"] == {"old": None, "new": 5}
    await shop.patch(f"task/{task['id']}", {"title": "yours"})
    assert all("cost" not in row["changes"] for row in await history(staff, f"task/{task['id']}"))


async def test_history_of_deleted_records_is_for_administrators(shop):
    for name in ("task", "drawer"):
        record = await shop.create(name, {"title": "a", "public": True} if name == "task" else {"public": True})
        (await shop.delete(f"{name}/{record['id']}")).require(200)
        assert [row["action"] for row in await history(shop, f"{name}/{record['id']}")] == ["delete", "create"]
        refused = await shop.as_actor(STAFF).get(f"{name}/{record['id']}/_history")
        assert_error(refused, 404, "NOT_FOUND", f"{name} with id {record['id']} not found")
        # There is no row that its policy could be asked about.
        assert (await shop.as_actor(WATCHED).get(f"{name}/{record['id']}/_history")).status == 404


async def test_a_key_that_is_used_again_begins_a_history_of_its_own(shop):
    await shop.create("form", {"id": 1, "text": "first life", "public": False})
    await shop.delete("form/1")
    await shop.create("form", {"id": 1, "text": "second life", "public": True})
    staff = shop.as_actor(STAFF)
    assert [row["action"] for row in await history(staff, "form/1")] == ["create"]
    assert "first" not in (await staff.get("form/1/_history")).text
    assert [row["action"] for row in await history(shop, "form/1")] == ["create", "delete", "create"]


async def test_a_deleted_record_that_lives_again_tells_its_former_life_to_administrators_only(shop):
    record = await shop.create("drawer", {"text": "a", "public": True})
    await shop.delete(f"drawer/{record['id']}")
    (await shop.put("_admin/entities/drawer", {**DRAWER, "soft_delete": False})).require(200)
    await shop.patch(f"drawer/{record['id']}", {"text": "b"})
    staff = shop.as_actor(STAFF)
    assert [row["action"] for row in await history(staff, f"drawer/{record['id']}")] == ["update"]
    assert [row["action"] for row in await history(shop, f"drawer/{record['id']}")] == ["update", "delete", "create"]


async def test_fields_that_are_taken_out_of_the_definition_show_to_administrators_only(shop):
    form = await shop.create("form", {"id": 1, "text": "gone", "public": True})
    fields = [field for field in FORM["fields"] if field["name"] != "text"]
    (await shop.put("_admin/entities/form", {**FORM, "fields": fields})).require(200)
    assert (await history(shop, f"form/{form['id']}"))[0]["changes"]["text"] == {"old": None, "new": "gone"}
    assert "gone" not in (await shop.as_actor(STAFF).get(f"form/{form['id']}/_history")).text


async def test_a_field_that_becomes_sensitive_is_masked_in_rows_that_are_there(shop):
    await shop.create("form", {"id": 1, "text": "secret", "public": True})
    fields = [{**field, "sensitive": field["name"] == "text"} for field in FORM["fields"]]
    (await shop.put("_admin/entities/form", {**FORM, "fields": fields})).require(200)
    assert (await history(shop, "form/1"))[0]["changes"]["text"] == {"old": "***", "new": "***"}


async def test_history_goes_with_the_table_and_not_with_the_name(shop):
    await shop.create("form", {"id": 1, "text": "of the first table"})
    (await shop.put("_admin/entities/form", {**FORM, "table": "other"})).require(200)
    assert (await shop.get("form/1/_history")).status == 404
    await shop.create("form", {"id": 1, "text": "of the second"})
    assert [row["changes"]["text"]["new"] for row in await history(shop, "form/1")] == ["of the second"]
    (await shop.delete("_admin/entities/form")).require(200)
    assert (await shop.get("form/1/_history")).status == 404
    await shop.define({**FORM, "name": "sheet", "table": "form"})
    assert [row["changes"]["text"]["new"] for row in await history(shop, "sheet/1")] == ["of the first table"]


async def test_without_audit_what_was_kept_is_not_shown(shop):
    await shop.create("form", {"id": 1, "text": "a"})
    (await shop.put("_admin/entities/form", {**FORM, "audit": False})).require(200)
    assert_error(await shop.get("form/1/_history"), 404, "NOT_FOUND", "No history for form")
    await shop.patch("form/1", {"text": "b"})
    (await shop.put("_admin/entities/form", FORM)).require(200)
    assert [row["action"] for row in await history(shop, "form/1")] == ["create"]


async def test_old_history_is_forgotten_when_the_settings_say_so(start_kernel, clock):
    running = await start_kernel([InstrumentationPlugin], settings={"instrumentation": {"audit_retention_days": 30}})
    await running.kernel.jobs.pause()
    shop = await running.client.app("shop")
    await shop.define(FORM)
    await shop.create("form", {"id": 1, "text": "a"})
    clock.advance(days=29)
    await shop.patch("form/1", {"text": "b"})
    clock.advance(days=2)
    await running.kernel.jobs.run_due()
    assert [row["action"] for row in await history(shop, "form/1")] == ["update"]


async def test_history_is_kept_for_ever_unless_told_otherwise(shop, clock):
    await shop.kernel.jobs.pause()
    await shop.create("form", {"id": 1})
    clock.advance(days=3650)
    await shop.kernel.jobs.run_due()
    assert len(await history(shop, "form/1")) == 1
