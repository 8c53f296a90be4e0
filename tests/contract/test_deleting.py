"""Deleting and on_delete: contract §5.8."""

import asyncio

import pytest

from rocket_kernel.metadata.tables import entity_table
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
NOW = "2026-01-02T03:04:05.678Z"
LATER = "2026-01-02T04:04:05.678Z"
SOFT = {"soft_delete": True}
ORDER = entity("order", name="string")
LINE = entity("line", name="string", order_id="uuid", changed="timestamp auto=update")
MAKE = {"one_to_many": one_to_many, "one_to_one": one_to_one}
POLICIES = ("cascade", "set_null", "detach", "restrict", None)


def assert_gone(answer, entity, id):
    assert_error(answer, 404, "NOT_FOUND", f"{entity} with id {id} not found", [])


def assert_restricted(answer, count, target):
    assert_error(answer, 409, "CONFLICT", f"Cannot delete: {count} related {target} records exist", [])


async def names(client, path):
    return sorted(row["name"] for row in (await client.get(f"{path}?per_page=200")).data)


async def parents(client, path="line"):
    """By name, the name of each live row's order, the bare key of one that is gone, or None."""
    rows = (await client.get(f"{path}?include=order")).data
    return {row["name"]: row["order"]["name"] if row["order"] else row["order_id"] for row in rows}


async def everything(client, entity):
    """All rows by their names as they are stored, softly deleted ones too."""
    app = await client.kernel.apps.app(client.app_name)
    async with app.reading() as (session, registry):
        table = entity_table(registry.model.entities[entity["name"]], ())
        return {row["name"]: row for row in await TableRows(table).select(session)}


async def test_a_row_is_removed(client):
    await client.define(ORDER)
    made = [await client.create("order", {"name": name}) for name in "abc"]
    for row, id in ((made[0], made[0]["id"]), (made[1], made[1]["id"].upper())):
        answer = (await client.delete(f"order/{id}", content=b"{broken")).require(200)
        assert answer.json == {"data": {"id": id}}
        assert_gone(await client.get(f"order/{row['id']}"), "order", row["id"])
        assert_gone(await client.delete(f"order/{row['id']}"), "order", row["id"])
    for id in (SOME_ID, "7", "no-uuid"):
        assert_gone(await client.delete(f"order/{id}"), "order", id)
    assert (await client.get("order")).data == [made[2]]


async def test_the_id_is_answered_as_it_stands_in_the_path(client):
    await client.define(entity("ticket", id="int"))
    await client.create("ticket", {})
    assert (await client.delete("ticket/01")).require(200).data == {"id": "01"}
    assert (await client.get("ticket")).meta["total"] == 0


async def test_a_softly_deleted_row_is_absent_everywhere(client):
    slug = {"slug": {"field": "slug", "source": "name"}}
    await client.define(entity("order", {**SOFT, **slug}, name="string unique", slug="string unique"), LINE)
    await client.relate(one_to_many("lines", "order", "line"))
    first = await client.create("order", {"name": "a", "lines": [{"name": "l"}]})
    await client.create("order", {"name": "b"})
    assert (await client.delete("order/a")).require(200).data == {"id": "a"}
    for id in (first["id"], "a"):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            assert_gone(await client.request(method, f"order/{id}"), "order", id)
    listed = await client.get("order?filter[name.in]=a,b")
    assert ([row["name"] for row in listed.data], listed.meta["total"]) == (["b"], 1)
    (line,) = (await client.get("line?include=order")).data
    assert (line["order_id"], line["order"]) == (first["id"], None)
    assert (await client.get("line?filter[order.name]=a")).meta["total"] == 0
    # Its unique values are free again, its key is not.
    again = await client.create("order", {"name": "a"})
    assert (again["slug"], again["id"] != first["id"]) == ("a", True)


async def test_a_softly_deleted_row_bears_the_instant(client, clock):
    soft = {**ORDER, **SOFT}
    await client.define(soft)
    made = [await client.create("order", {"name": name}) for name in "ab"]
    clock.advance(hours=1)
    (await client.delete(f"order/{made[0]['id']}")).require(200)
    clock.advance(hours=1)
    assert_gone(await client.delete(f"order/{made[0]['id']}"), "order", made[0]["id"])
    rows = await everything(client, soft)
    assert (rows["a"]["deleted_at"], rows["b"]["deleted_at"]) == (LATER, None)


@pytest.mark.parametrize("type", MAKE)
@pytest.mark.parametrize("policy", POLICIES)
async def test_what_becomes_of_children(client, clock, type, policy):
    await client.define(ORDER, LINE)
    await client.relate(MAKE[type]("lines", "order", "line", **({"on_delete": policy} if policy else {})))
    lines = [{"name": "a"}] if type == "one_to_one" else [{"name": "a"}, {"name": "b"}]
    own = await client.create("order", {"name": "own", "lines": lines})
    await client.create("order", {"name": "other", "lines": [{"name": "z"}]})
    await client.create("line", {"name": "stray"})
    clock.advance(hours=1)
    answer = await client.delete(f"order/{own['id']}")
    kept = {"z": "other", "stray": None}
    if policy == "restrict":
        assert_restricted(answer, len(lines), "line")
        assert await parents(client) == {**kept, **{line["name"]: "own" for line in lines}}
        assert await names(client, "order") == ["other", "own"]
        return
    assert answer.require(200).data == {"id": own["id"]}
    assert await names(client, "order") == ["other"]
    key = {"set_null": None, "detach": None, None: own["id"]}
    touched = {} if policy == "cascade" else {line["name"]: key[policy] for line in lines}
    assert await parents(client) == {**kept, **touched}
    changed = {row["name"] for row in (await client.get("line")).data if row["changed"] == LATER}
    assert changed == (set(touched) if policy in ("set_null", "detach") else set())


@pytest.mark.parametrize("policy", POLICIES)
async def test_softly_deleted_children(client, policy):
    soft = {**LINE, **SOFT}
    await client.define(ORDER, soft)
    await client.relate(one_to_many("lines", "order", "line", **({"on_delete": policy} if policy else {})))
    order = await client.create("order", {"name": "own", "lines": [{"name": "dead"}]})
    (line,) = (await client.get("line")).data
    (await client.delete(f"line/{line['id']}")).require(200)
    # A dead child restricts nothing.
    (await client.delete(f"order/{order['id']}")).require(200)
    row = (await everything(client, soft))["dead"]
    assert row["order_id"] == (None if policy in ("set_null", "detach") else order["id"])
    assert row["deleted_at"] == NOW


@pytest.mark.parametrize("soft", [False, True])
async def test_a_cascade_deletes_each_child_as_its_entity_says(client, soft):
    line = {**LINE, "soft_delete": soft}
    part = {**entity("part", name="string", line_id="uuid"), "soft_delete": not soft}
    await client.define({**ORDER, "soft_delete": not soft}, line, part)
    await client.relate(
        one_to_many("lines", "order", "line", on_delete="cascade"),
        one_to_many("parts", "line", "part", on_delete="cascade"),
    )
    made = await client.create(
        "order", {"name": "o", "lines": [{"name": "l", "parts": [{"name": "p"}, {"name": "q"}]}]}
    )
    (await client.delete(f"order/{made['id']}")).require(200)
    for name in ("order", "line", "part"):
        assert await names(client, name) == []
    assert list(await everything(client, line)) == (["l"] if soft else [])
    assert sorted(await everything(client, part)) == ([] if soft else ["p", "q"])


async def test_a_restriction_far_down_keeps_everything(client):
    await client.define(ORDER, LINE, entity("part", name="string", line_id="uuid"), entity("tag", name="string"))
    await client.relate(
        many_to_many("a_tags", "order", "tag"),
        one_to_many("lines", "order", "line", on_delete="cascade"),
        one_to_many("parts", "line", "part", on_delete="restrict"),
    )
    lines = [{"name": "free"}, {"name": "bound", "parts": [{"name": "p"}, {"name": "q"}]}]
    made = await client.create("order", {"name": "o", "lines": lines, "a_tags": [{"name": "t"}]})
    assert_restricted(await client.delete(f"order/{made['id']}"), 2, "part")
    read = (await client.get(f"order/{made['id']}?include=lines.parts,a_tags")).data
    assert {line["name"]: len(line["parts"]) for line in read["lines"]} == {"free": 0, "bound": 2}
    assert len(read["a_tags"]) == 1
    free = next(line["id"] for line in read["lines"] if line["name"] == "free")
    gone = {"lines": {"_write_mode": "replace", "data": []}}
    assert_restricted(await client.put(f"order/{made['id']}", gone), 2, "part")
    (await client.put(f"order/{made['id']}", {"lines": [{"id": free, "_delete": True}]})).require(200)
    assert await names(client, "line") == ["bound"]


@pytest.mark.parametrize("policy", ["set_null", "detach"])
@pytest.mark.parametrize("key", ["uuid!", "primary", "nullable"])
async def test_a_key_that_must_not_be_null_restricts(client, policy, key):
    options = {"primary_key": {"field": "order_id", "type": "uuid"}} if key == "primary" else {}
    field = {"type": "uuid", "required": key != "primary", "nullable": key == "nullable"}
    await client.define(ORDER, entity("line", {**SOFT, **options}, order_id=field, name="string"))
    await client.relate(one_to_one("detail", "order", "line", "order_id", on_delete=policy))
    order = await client.create("order", {"name": "own", "detail": {"name": "a"}})
    answer = await client.delete(f"order/{order['id']}")
    if key == "nullable":
        answer.require(200)
        assert await parents(client) == {"a": None}
        return
    assert_restricted(answer, 1, "line")
    assert await parents(client) == {"a": "own"}
    (line,) = (await client.get("line")).data
    (await client.delete(f"line/{line.get('id', order['id'])}")).require(200)
    (await client.delete(f"order/{order['id']}")).require(200)
    assert await names(client, "order") == []


async def test_relations_count_in_the_order_of_their_names(client):
    line = entity("line", name="string", first_id="uuid", second_id="uuid")
    for restricting, cascading in (("b", "a"), ("a", "b")):
        order = f"order_{restricting}"
        await client.define(entity(order, name="string"), {**line, "name": f"line_{restricting}"})
        await client.relate(
            one_to_many(f"{order}_{cascading}", order, f"line_{restricting}", "first_id", on_delete="cascade"),
            one_to_many(f"{order}_{restricting}", order, f"line_{restricting}", "second_id", on_delete="restrict"),
        )
        made = await client.create(order, {})
        await client.create(f"line_{restricting}", {"name": "l", "first_id": made["id"], "second_id": made["id"]})
        answer = await client.delete(f"{order}/{made['id']}")
        # What a cascade has taken already restricts no longer.
        if restricting == "b":
            answer.require(200)
        else:
            assert_restricted(answer, 1, "line_a")
        assert len(await names(client, f"line_{restricting}")) == (restricting == "a")


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("policy", ["cascade", "set_null", "restrict"])
async def test_rows_that_refer_to_each_other_in_a_circle(client, soft, policy):
    await client.define(entity("node", {"soft_delete": soft}, name="string", parent_id="uuid"))
    await client.relate(one_to_many("children", "node", "node", "parent_id", on_delete=policy))
    a, b, c = [await client.create("node", {"name": name}) for name in "abc"]
    for row, parent in ((a, c), (b, a), (c, b)):
        await client.put(f"node/{row['id']}", {"parent_id": parent["id"]})
    loop = await client.create("node", {"name": "loop"})
    await client.put(f"node/{loop['id']}", {"parent_id": loop["id"]})
    # A row that only refers to itself stands in nobody's way.
    (await client.delete(f"node/{loop['id']}")).require(200)
    answer = await client.delete(f"node/{a['id']}")
    rows = {row["name"]: row["parent_id"] for row in (await client.get("node")).data}
    if policy == "restrict":
        assert_restricted(answer, 1, "node")
        assert rows == {"a": c["id"], "b": a["id"], "c": b["id"]}
    else:
        answer.require(200)
        assert rows == ({} if policy == "cascade" else {"b": None, "c": b["id"]})


async def test_a_row_reached_on_two_ways_goes_once(client):
    await client.define(ORDER, LINE, entity("part", SOFT, name="string", line_id="uuid", order_id="uuid"))
    await client.relate(
        one_to_many("lines", "order", "line", on_delete="cascade"),
        one_to_many("line_parts", "line", "part", on_delete="cascade"),
        one_to_many("order_parts", "order", "part", on_delete="cascade"),
    )
    made = await client.create("order", {"name": "o", "lines": [{"name": "l", "line_parts": [{"name": "p"}]}]})
    (part,) = (await client.get("part")).data
    await client.put(f"part/{part['id']}", {"order_id": made["id"]})
    (await client.delete(f"order/{made['id']}")).require(200)
    assert [await names(client, name) for name in ("order", "line", "part")] == [[], [], []]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("soft", [False, True])
async def test_links_of_both_sides_are_removed(client, policy, soft):
    await client.define({**ORDER, "soft_delete": soft}, entity("tag", {"soft_delete": soft}, name="string"))
    await client.relate(many_to_many("tags", "order", "tag", "order_tags", **({"on_delete": policy} if policy else {})))
    own = await client.create("order", {"name": "own", "tags": [{"name": "a"}, {"name": "b"}]})
    tags = {row["name"]: row["id"] for row in (await client.get("tag")).data}
    other = await client.create("order", {"name": "other", "tags": list(tags.values())})
    # From the target's side nothing restricts.
    (await client.delete(f"tag/{tags['a']}")).require(200)
    assert await links(client) == {(own["id"], tags["b"]), (other["id"], tags["b"])}
    answer = await client.delete(f"order/{own['id']}")
    if policy == "restrict":
        assert_restricted(answer, 1, "tag")
        assert await links(client) == {(own["id"], tags["b"]), (other["id"], tags["b"])}
        (await client.delete(f"tag/{tags['b']}")).require(200)
        answer = await client.delete(f"order/{own['id']}")
    answer.require(200)
    assert await names(client, "order") == ["other"]
    assert await names(client, "tag") == ([] if policy == "restrict" else ["b"])
    assert await links(client) == (set() if policy == "restrict" else {(other["id"], tags["b"])})


async def links(client):
    """The rows of the join table."""
    app = await client.kernel.apps.app(client.app_name)
    async with app.reading() as (session, _registry):
        rows = await session.fetch("SELECT order_id, tag_id FROM order_tags")
    return {(str(row[0]), str(row[1])) for row in rows}


async def test_a_relation_over_another_unique_field(client):
    await client.define(
        entity("order", number="int unique", name="string"), entity("line", name="string", number="int")
    )
    await client.relate(one_to_many("lines", "order", "line", "number", source_key="number", on_delete="cascade"))
    made = await client.create("order", {"number": 1, "lines": [{"name": "a"}]})
    empty = await client.create("order", {"name": "no number"})
    await client.create("line", {"name": "stray"})
    (await client.delete(f"order/{empty['id']}")).require(200)
    assert await names(client, "line") == ["a", "stray"]
    (await client.delete(f"order/{made['id']}")).require(200)
    assert await names(client, "line") == ["stray"]


async def test_nested_deletions_take_along_what_hangs_on_them(client):
    await client.define(
        ORDER, {**LINE, **SOFT}, entity("part", name="string", line_id="uuid"), entity("tag", name="string")
    )
    await client.relate(
        one_to_many("lines", "order", "line"),
        one_to_many("parts", "line", "part", on_delete="cascade"),
        many_to_many("tags", "line", "tag"),
    )
    lines = [{"name": name, "parts": [{"name": f"p{name}"}], "tags": [{"name": f"t{name}"}]} for name in "abc"]
    made = await client.create("order", {"name": "o", "lines": lines})
    ids = {row["name"]: row["id"] for row in (await client.get("line")).data}
    (await client.put(f"order/{made['id']}", {"lines": [{"id": ids["a"], "_delete": True}]})).require(200)
    assert (await names(client, "line"), await names(client, "part")) == (["b", "c"], ["pb", "pc"])
    kept = {"_write_mode": "replace", "data": [{"id": ids["c"]}]}
    (await client.put(f"order/{made['id']}", {"lines": kept})).require(200)
    assert (await names(client, "line"), await names(client, "part")) == (["c"], ["pc"])
    rows = (await client.get("tag?include=line")).data
    assert {row["name"]: len(row["line"]) for row in rows} == {"ta": 0, "tb": 0, "tc": 1}


async def test_nested_deletions_that_meet_in_one_row(client):
    await client.define(ORDER, LINE, entity("part", name="string", line_id="uuid", order_id="uuid"))
    await client.relate(
        one_to_many("lines", "order", "line"),
        one_to_many("line_parts", "line", "part", on_delete="cascade"),
        one_to_many("parts", "order", "part"),
    )
    for first, second in (("lines", "parts"), ("parts", "lines")):
        made = await client.create("order", {"name": "o", "lines": [{"name": "l", "line_parts": [{"name": "p"}]}]})
        (line,), (part,) = (await client.get("line")).data, (await client.get("part")).data
        await client.put(f"part/{part['id']}", {"order_id": made["id"]})
        ids = {"lines": line["id"], "parts": part["id"]}
        gone = {"_write_mode": "replace", "data": []}
        named = [{"id": ids[second], "_delete": True}]
        (await client.put(f"order/{made['id']}", {first: gone, second: named})).require(200)
        assert (await names(client, "line"), await names(client, "part")) == ([], [])


@pytest.mark.parametrize("soft", [False, True])
async def test_of_many_deletions_at_once_one_succeeds(client, soft):
    await client.define({**ORDER, "soft_delete": soft}, LINE)
    await client.relate(one_to_many("lines", "order", "line", on_delete="cascade"))
    made = await client.create("order", {"name": "o", "lines": [{"name": "a"}]})
    answers = await asyncio.gather(*(client.delete(f"order/{made['id']}") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 404, 404, 404, 404]
    assert await names(client, "line") == []
