"""What a caller may write, by every way that writes: contract §5 and §10.5."""

import pytest

from rocket_auth.permissions.testing import PLUGINS, Office
from rocket_kernel import SYSTEM, Plugin, Stage, Step, hookimpl
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

ANN = "00000000-0000-4000-8000-00000000000a"
MISSING = "12345678-90ab-4cde-8f01-234567890abc"

ORDER = entity(
    "order",
    {"slug": {"field": "code", "source": "title"}},
    title="string!",
    code="string unique",
    owner="uuid",
    total="int",
    state="string default=new enum=new|paid",
    made="timestamp auto=create",
)
LINE = entity("line", order_id="uuid", sku="string!", qty="int", done="boolean default=false", secret="string")
SEAL = entity("seal", order_id="uuid", text="string")
TAG = entity("tag", label="string!", hidden="boolean default=false")
READ_ALL = ("order", "line", "seal", "tag")


def denied(entity, action):
    return (403, "FORBIDDEN", f"Permission denied for {action} on {entity}", [])


def closed(entity, action):
    return (403, "FORBIDDEN", f"No permission for {action} on {entity}", [])


def missing(entity, id):
    return (404, "NOT_FOUND", f"{entity} with id {id} not found", [])


def forbidden(*paths):
    details = [
        {"field": path, "rule": "forbidden", "message": f"No permission to write {path.split('.')[-1]}"}
        for path in paths
    ]
    return (422, "VALIDATION_FAILED", "Validation failed", details)


@pytest.fixture
async def shop(office):
    await office.admin.define(ORDER, LINE, SEAL, TAG)
    await office.admin.relate(
        one_to_many("lines", "order", "line"),
        one_to_one("seal", "order", "seal"),
        many_to_many("tags", "order", "tag"),
    )
    return office


@pytest.fixture
async def clerk(shop):
    """Reads everything, and writes orders as is said in each test."""
    for name in READ_ALL:
        await shop.allow(name, "read", "clerk")
    return shop.caller("clerk", id=ANN)


async def lines_of(shop, order):
    found = (await shop.admin.get(f"order/{order['id']}?include=lines")).data["lines"]
    return sorted((line["sku"], line["qty"]) for line in found)


async def test_the_gate_comes_first(shop, clerk):
    order = await shop.admin.create("order", {"title": "A"})
    ways = (
        ("POST", "order", "create"),
        ("PUT", f"order/{order['id']}", "update"),
        ("DELETE", f"order/{MISSING}", "delete"),
    )
    for method, path, action in ways:
        assert_error(await clerk.request(method, path, {"nonsense": 1}), *closed("order", action))
    for _, _, action in ways:
        await shop.allow("order", action, "boss", "BOSS")
    for method, path, action in ways:
        assert_error(await clerk.request(method, path, {"nonsense": 1}), *denied("order", action))
    boss = shop.caller("boss")
    assert_error(await boss.post("order", {"nonsense": 1}), 422, "VALIDATION_FAILED")
    assert (await boss.put(f"order/{order['id']}", {"title": "B"})).status == 200
    assert (await boss.delete(f"order/{order['id']}")).status == 200


async def test_create_is_judged_on_the_complete_record(shop, clerk):
    await shop.allow("order", "create", "clerk", when=[("state", "eq", "new"), ("made", "gt", "2000-01-01")])
    await shop.allow("order", "create", "clerk", when=[("owner", "eq", "{{user.id}}"), ("total", "lte", 10)])
    for body, works in (
        ({}, True),
        ({"state": "paid"}, False),
        ({"state": "paid", "owner": ANN, "total": 10}, True),
        ({"state": "paid", "owner": ANN, "total": 11}, False),
        ({"state": "paid", "owner": ANN}, False),
        ({"state": "paid", "owner": MISSING, "total": 1}, False),
        ({"state": None}, False),
    ):
        answer = await clerk.post("order", {"title": "A", **body})
        if works:
            assert answer.require(201).data["title"] == "A"
        else:
            assert_error(answer, *denied("order", "create"))
        explained = (await clerk.post("order?explain=true", {"title": "A", **body})).require(200).data
        assert explained["would"] == ("create" if works else "reject")
    # A bad record is told before a forbidden one: its values are part of the question.
    assert_error(await clerk.post("order", {"state": "lost"}), 422, "VALIDATION_FAILED")


class Price(Plugin):
    """Fills in totals, late; and books on orders as the engine."""

    name = "price"

    @hookimpl
    def compile_write_steps(self, entity, model):
        if entity.name != "order":
            return []
        return [Step(Stage.RULES, "price:total", self.fill), Step(Stage.AFTER_RULES, "price:line", self.add)]

    async def fill(self, write):
        if "total" not in write.supplied:
            write.assign("total", 7)

    async def add(self, write):
        if write.actor is not SYSTEM and write.record["title"] == "with line":
            await write.run.create("line", {"sku": "engine", "order_id": write.record["id"], "secret": "s"})


async def test_values_of_steps_count_and_the_engine_may_do_everything(start_kernel):
    running = await start_kernel([*PLUGINS, Price])
    shop = Office(running, await running.client.app("shop"))
    await shop.admin.define(ORDER, LINE)
    await shop.allow("order", "create", "clerk", when=[("total", "eq", 7)], exclude=["total"])
    clerk = shop.caller("clerk")
    for title in ("plain", "with line"):
        assert list((await clerk.post("order", {"title": title})).require(201).data) == ["id"]
    assert_error(await clerk.post("order", {"title": "A", "total": 7}), *forbidden("total"))
    assert [(line["sku"], line["secret"]) for line in (await shop.admin.get("line")).data] == [("engine", "s")]


@pytest.mark.parametrize("action", ["update", "delete"])
async def test_stored_rows_are_judged(shop, action):
    await shop.allow("order", "read", "clerk", when=[("total", "lt", 100)])
    await shop.allow("order", action, "clerk", when=[("total", "gte", 50), ("state", "eq", "new")])
    await shop.allow("order", action, "clerk", when=[("owner", "eq", "{{user.id}}")])
    await shop.allow("order", action, "blind", when=[("total", "gte", 50)])
    clerk, blind = shop.caller("clerk", id=ANN), shop.caller("blind")
    rows = [
        ({"total": 60}, 200, 200),
        ({"total": 60, "state": "paid"}, 403, 200),
        ({"total": 10}, 403, 404),
        ({"total": 10, "owner": ANN}, 200, 404),
        ({"total": 100, "owner": ANN}, 404, 200),
        ({"total": 200}, 404, 200),
        ({}, 404, 404),
    ]
    for values, *expected in rows:
        for client, status in zip((clerk, blind), expected, strict=True):
            row = await shop.admin.create("order", {"title": "A b", **values})
            # Who may not read the slug does not find the row by it.
            by_slug = 404 if client is blind else status
            for id, wanted in ((row["code"], by_slug), (row["id"], status)):
                path = f"order/{id}"
                before = await client.request(*change(action, f"{path}?explain=true"))
                answer = await client.request(*change(action, path))
                assert (before.status, answer.status) == (200 if wanted in (200, 403) else wanted, wanted), (values, id)
                if wanted == 404:
                    assert_error(answer, *missing("order", id))
                if wanted == 403:
                    assert_error(answer, *denied("order", action))
                if wanted == 200:
                    break
    for client in (clerk, blind):
        assert_error(await client.request(*change(action, f"order/{MISSING}")), *missing("order", MISSING))


def change(action, path):
    return ("PUT", path, {"state": "new"}) if action == "update" else ("DELETE", path)


async def test_answers_are_filtered_as_reads(shop):
    await shop.allow("order", "read", "clerk", when=[("total", "lt", 100)], exclude=["owner"])
    for action in ("create", "update"):
        await shop.allow("order", action, "clerk", "blind")
        await shop.allow("line", action, "clerk")
    clerk, blind = shop.caller("clerk"), shop.caller("blind")
    seen = await clerk.create("order", {"title": "A", "owner": ANN, "total": 1})
    assert list(seen) == ["id", "title", "code", "total", "state", "made"]
    for client, values in ((clerk, {"total": 100}), (blind, {"total": 1})):
        made = (await client.post("order", {"title": "B", "owner": ANN, **values})).require(201)
        assert list(made.data) == ["id"]
        plain = (await shop.admin.get(f"order/{made.data['id']}")).require(200)
        assert made.headers["ETag"] != plain.headers["ETag"]
    # A row that is moved out of sight.
    gone = (await clerk.put(f"order/{seen['id']}", {"total": 100})).require(200)
    assert gone.data == {"id": seen["id"]}
    # Keys for sending twice give no more than may be read now.
    headers = {"Idempotency-Key": "k"}
    first = (await clerk.post("order", {"title": "C", "owner": ANN, "total": 1}, headers=headers)).require(201)
    assert "owner" not in first.data
    again = (await clerk.post("order", {"title": "C", "owner": ANN, "total": 1}, headers=headers)).require(201)
    assert (again.body, again.headers["Idempotency-Replayed"]) == (first.body, "true")
    for row in (await shop.admin.get("_admin/permissions")).data:
        if (row["entity"], row["action"]) == ("order", "read"):
            await shop.admin.put(f"_admin/permissions/{row['id']}", {"roles": ["boss"]})
    later = (await clerk.post("order", {"title": "C", "owner": ANN, "total": 1}, headers=headers)).require(201)
    assert later.data == {"id": first.data["id"]}


async def test_field_lists(shop, clerk):
    await shop.allow("order", "create", "clerk", include=["title", "total"])
    await shop.allow("order", "update", "clerk", exclude=["title", "id", "made"])
    for body, paths in (
        ({"title": "A", "total": 1}, None),
        ({"title": "A", "id": MISSING, "made": "nonsense"}, None),  # ignored without a word, as ever
        ({"title": "A", "owner": ANN, "state": "nonsense"}, ("owner", "state")),
        ({"title": "A", "owner": None}, ("owner",)),
    ):
        answer = await clerk.post("order", body)
        if paths is None:
            made = answer.require(201).data
        else:
            assert_error(answer, *forbidden(*paths))
    # Collected with what else is wrong, in the order of the fields.
    wrong = await clerk.post("order", {"title": "", "owner": "x", "total": "many"})
    assert [(detail["field"], detail["rule"]) for detail in wrong.error["details"]] == [
        ("title", "required"), ("owner", "forbidden"), ("total", "type")]  # fmt: skip
    assert_error(await clerk.post("order", {"title": "A", "owner": ANN, "nope": 1}), 422, "VALIDATION_FAILED")
    path = f"order/{made['id']}"
    assert_error(await clerk.put(path, {"title": "B", "total": 2}), *forbidden("title"))
    assert (await clerk.put(path, {"id": "x", "made": "x", "total": 2})).require(200).data["total"] == 2
    assert (await clerk.put(path, {})).status == 200
    explained = (await clerk.put(f"{path}?explain=true", {"title": "B"})).require(200).data
    assert (explained["would"], explained["errors"][0]["rule"]) == ("reject", "forbidden")


async def test_fields_are_those_of_the_rows_that_hold(shop, clerk):
    for action in ("create", "update"):
        await shop.allow("order", action, "clerk", when=[("state", "eq", "new")], include=["title", "owner", "state"])
        await shop.allow("order", action, "clerk", when=[("total", "gt", 5)], include=["title", "total"])
    await shop.allow("order", "update", "clerk", when=[("total", "gt", 50)])
    for body, outcome in (
        ({"owner": ANN}, None),
        ({"total": 6}, None),
        ({"owner": ANN, "total": 6}, None),
        ({"owner": ANN, "total": 5}, forbidden("total")),
        ({"owner": ANN, "state": "paid", "total": 6}, forbidden("owner", "state")),
        ({"state": "paid"}, denied("order", "create")),
    ):
        answer = await clerk.post("order", {"title": "A", **body})
        if outcome is None:
            answer.require(201)
        else:
            assert_error(answer, *outcome)
    for stored, body, outcome in (
        ({"state": "new", "total": 1}, {"owner": ANN, "state": "paid"}, None),
        ({"state": "new", "total": 1}, {"total": 60}, forbidden("total")),
        ({"state": "paid", "total": 6}, {"total": 60}, None),
        ({"state": "paid", "total": 6}, {"state": "new", "owner": ANN}, forbidden("owner", "state")),
        ({"state": "paid", "total": 51}, {"state": "new", "owner": ANN, "total": 0}, None),
        ({"state": "paid", "total": 1}, {"title": "B"}, denied("order", "update")),
    ):
        row = await shop.admin.create("order", {"title": "A", **stored})
        answer = await clerk.put(f"order/{row['id']}", body)
        if outcome is None:
            answer.require(200)
        else:
            assert_error(answer, *outcome)


async def test_a_required_field_that_may_not_be_written(shop, clerk):
    await shop.allow("line", "create", "clerk", include=["qty"])
    absent = [{"field": "sku", "rule": "required", "message": "sku is required"}]
    assert_error(await clerk.post("line", {"qty": 1}), 422, "VALIDATION_FAILED", "Validation failed", absent)
    assert_error(await clerk.post("line", {"sku": "x"}), *forbidden("sku"))
    with_default = {
        **LINE,
        "fields": [{**field, "default": "none"} if field["name"] == "sku" else field for field in LINE["fields"]],
    }
    (await shop.admin.put("_admin/entities/line", with_default)).require(200)
    assert (await clerk.create("line", {"qty": 1}))["sku"] == "none"


async def test_nested_records_obey_their_own_rows(shop, clerk):
    await shop.allow("order", "update", "clerk")
    order = await shop.admin.create("order", {"title": "A", "lines": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 9}]})
    one, nine = sorted((await shop.admin.get("line")).data, key=lambda line: line["qty"])
    path = f"order/{order['id']}"
    bodies = {
        "create": {"lines": [{"sku": "c", "qty": 1}]},
        "update": {"lines": [{"id": one["id"], "qty": 1}]},
        "delete": {"lines": [{"id": one["id"], "_delete": True}]},
    }
    for action, body in bodies.items():
        assert_error(await clerk.put(path, body), *closed("line", action))
    replace = {"lines": {"_write_mode": "replace", "data": []}}
    assert_error(await clerk.put(path, replace), *closed("line", "delete"))
    await shop.allow("line", "create", "clerk", when=[("qty", "lt", 5)], exclude=["secret"])
    await shop.allow("line", "update", "clerk", when=[("qty", "lt", 5)], include=["qty", "sku"])
    await shop.allow("line", "delete", "clerk", when=[("qty", "lt", 5)])
    for body, outcome in (
        ({"lines": [{"sku": "c", "qty": 5}]}, denied("line", "create")),
        ({"lines": [{"id": nine["id"], "qty": 1}]}, denied("line", "update")),
        ({"lines": [{"id": nine["id"], "_delete": True}]}, denied("line", "delete")),
        (replace, denied("line", "delete")),
        ({"lines": {"_write_mode": "replace", "data": [{"id": one["id"]}]}}, denied("line", "delete")),
        ({"lines": [{"sku": "c", "qty": 1}, {"sku": "d", "secret": "x"}]}, forbidden("lines[1].secret")),
        ({"lines": [{"id": one["id"], "done": True, "qty": 2}]}, forbidden("lines[0].done")),
        ({"lines": [{"sku": "c", "qty": 1}, {"id": MISSING}]}, None),
    ):
        answer = await clerk.put(path, body)
        assert_error(answer, *(outcome or (422, "VALIDATION_FAILED")))
    assert await lines_of(shop, order) == [("a", 1), ("b", 9)]
    good = {"lines": [{"sku": "c", "qty": 4}, {**one, "qty": 4}]}
    good["lines"][1] = {name: value for name, value in good["lines"][1].items() if name not in ("done", "secret")}
    (await clerk.put(path, good)).require(200)
    assert await lines_of(shop, order) == [("a", 4), ("b", 9), ("c", 4)]
    new = await clerk.post("order", {"title": "B", "lines": [{"sku": "x"}]})
    assert_error(new, *closed("order", "create"))
    await shop.allow("order", "create", "clerk")
    assert_error(await clerk.post("order", {"title": "B", "lines": [{"sku": "x"}]}), *denied("line", "create"))
    (await clerk.post("order", {"title": "B", "lines": [{"sku": "x", "qty": 0}]})).require(201)


async def test_hidden_children_do_not_exist(shop):
    for action in ("create", "update", "delete"):
        await shop.allow("line", action, "clerk")
    await shop.allow("order", "update", "clerk")
    await shop.allow("order", "read", "clerk")
    await shop.allow("line", "read", "clerk", when=[("qty", "lt", 5)])
    clerk = shop.caller("clerk")
    order = await shop.admin.create("order", {"title": "A", "lines": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 9}]})
    hidden = next(line for line in (await shop.admin.get("line")).data if line["qty"] == 9)
    path = f"order/{order['id']}"
    for id in (hidden["id"], MISSING):
        detail = {"field": "lines[0].id", "rule": "not_found", "message": f"line with id {id} not found"}
        for item in ({"id": id, "qty": 1}, {"id": id, "_delete": True}):
            answer = await clerk.put(path, {"lines": [item]})
            assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    (await clerk.put(path, {"lines": {"_write_mode": "replace", "data": []}})).require(200)
    assert await lines_of(shop, order) == [("b", 9)]


async def test_children_whose_key_is_hidden_are_no_children(shop, clerk):
    for action in ("create", "update", "delete"):
        await shop.allow("line", action, "keyless")
    await shop.allow("order", "update", "keyless")
    await shop.allow("order", "read", "keyless")
    await shop.allow("line", "read", "keyless", exclude=["order_id"])
    keyless = shop.caller("keyless")
    order = await shop.admin.create("order", {"title": "A", "lines": [{"sku": "a", "qty": 1}]})
    other = await shop.admin.create("order", {"title": "B"})
    (line,) = (await shop.admin.get("line")).data
    for path in (f"order/{order['id']}", f"order/{other['id']}"):
        detail = {"field": "lines[0].id", "rule": "not_found", "message": f"line with id {line['id']} not found"}
        answer = await keyless.put(path, {"lines": [{"id": line["id"], "qty": 2}]})
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
        (await keyless.put(path, {"lines": {"_write_mode": "replace", "data": []}})).require(200)
    assert (await shop.admin.get("line")).data == [line]
    relation = one_to_many("lines", "order", "line", on_delete="restrict")
    (await shop.admin.put("_admin/relations/lines", relation)).require(200)
    await shop.allow("order", "delete", "keyless", "clerk")
    for client, shown in ((keyless, "related"), (clerk, "1 related")):
        refused = await client.delete(f"order/{order['id']}")
        assert_error(refused, 409, "CONFLICT", f"Cannot delete: {shown} line records exist")


async def test_one_to_one(shop, clerk):
    await shop.allow("order", "update", "clerk")
    await shop.allow("seal", "create", "clerk", when=[("text", "eq", "ok")])
    order = await shop.admin.create("order", {"title": "A"})
    path = f"order/{order['id']}"
    assert_error(await clerk.put(path, {"seal": {"text": "no"}}), *denied("seal", "create"))
    (await clerk.put(path, {"seal": {"text": "ok"}})).require(200)
    for body, action in (({"text": "ok"}, "update"), ({"_write_mode": "replace", "data": {"text": "ok"}}, "delete")):
        assert_error(await clerk.put(path, {"seal": body}), *closed("seal", action))


async def test_links_need_update_on_the_parent_and_read_on_the_target(shop):
    await shop.allow("tag", "read", "clerk", when=[("hidden", "eq", False)])
    clerk, closed_out = shop.caller("clerk"), shop.caller("blind")
    shown, hidden = [await shop.admin.create("tag", {"label": "t", "hidden": hides}) for hides in (False, True)]
    order = await shop.admin.create("order", {"title": "A", "tags": [hidden["id"]]})
    path = f"order/{order['id']}"
    assert_error(await clerk.put(path, {"tags": [shown["id"]]}), *closed("order", "update"))
    await shop.allow("order", "update", "clerk", "blind")

    async def linked():
        return sorted(tag["id"] for tag in (await shop.admin.get(f"{path}?include=tags")).data["tags"])

    for item in (shown["id"], {"id": shown["id"], "_delete": True}, MISSING, "no key"):
        assert_error(await closed_out.put(path, {"tags": [item]}), *denied("tag", "read"))
    for id in (hidden["id"], MISSING):
        for item in (id, {"id": id, "_delete": True}):
            detail = {"field": "tags[0].id", "rule": "not_found", "message": f"tag with id {id} not found"}
            refused = await clerk.put(path, {"tags": [item]})
            assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    (await clerk.put(path, {"tags": [shown["id"]]})).require(200)
    assert await linked() == sorted([shown["id"], hidden["id"]])
    (await clerk.put(path, {"tags": {"_write_mode": "replace", "data": []}})).require(200)
    assert await linked() == [hidden["id"]]
    assert_error(await clerk.put(path, {"tags": [{"label": "new"}]}), *closed("tag", "create"))
    await shop.allow("tag", "create", "clerk", "blind", include=["label"])
    assert_error(await clerk.put(path, {"tags": [{"label": "new", "hidden": False}]}), *forbidden("tags[0].hidden"))
    for client in (clerk, closed_out):
        (await client.put(path, {"tags": [{"label": "new"}]})).require(200)
    assert len(await linked()) == 3


async def test_on_delete_needs_nothing(shop, clerk):
    await shop.allow("order", "delete", "clerk")
    (
        await shop.admin.put("_admin/relations/lines", one_to_many("lines", "order", "line", on_delete="cascade"))
    ).require(200)
    (await shop.admin.put("_admin/relations/seal", one_to_one("seal", "order", "seal", on_delete="set_null"))).require(
        200
    )
    body = {"title": "A", "lines": [{"sku": "a"}, {"sku": "b"}], "seal": {"text": "s"}, "tags": [{"label": "t"}]}
    order = await shop.admin.create("order", body)
    explained = (await clerk.delete(f"order/{order['id']}?explain=true")).require(200).data
    # How many rows go along could tell of hidden ones.
    assert [step["name"] for step in explained["steps"] if step["name"].startswith("auth:")] == [
        "auth:permission:role", "auth:permission:row"]  # fmt: skip
    (await clerk.delete(f"order/{order['id']}")).require(200)
    assert (await shop.admin.get("line")).data == []
    assert [seal["order_id"] for seal in (await shop.admin.get("seal")).data] == [None]


async def test_if_match_comes_after_the_conditions(shop):
    await shop.allow("order", "read", "clerk")
    await shop.allow("order", "update", "clerk", "blind", when=[("total", "lt", 5)])
    clerk, blind = shop.caller("clerk"), shop.caller("blind")
    row = await shop.admin.create("order", {"title": "A", "total": 5})
    headers = {"If-Match": '"nothing"'}
    assert_error(await clerk.put(f"order/{row['id']}", {}, headers=headers), *denied("order", "update"))
    assert_error(await blind.put(f"order/{row['id']}", {}, headers=headers), *missing("order", row["id"]))
    (await shop.admin.put(f"order/{row['id']}", {"total": 4})).require(200)
    for client in (clerk, blind):
        assert (await client.put(f"order/{row['id']}", {"nonsense": 1}, headers=headers)).status == 412


async def test_explain_obeys(shop):
    await shop.allow("order", "read", "clerk", exclude=["owner"])
    for action in ("create", "update", "delete"):
        await shop.allow("order", action, "clerk", "blind", when=[("total", "lt", 5)])
    row = await shop.admin.create("order", {"title": "A", "total": 1, "owner": ANN})
    path = f"order/{row['id']}?explain=true"
    for role, record, changes in (
        ("clerk", {"id", "title", "code", "total", "state", "made"}, {"total"}),
        ("blind", {"id"}, set()),
    ):
        data = (await shop.caller(role).put(path, {"total": 2, "owner": MISSING})).require(200).data
        assert (data["would"], set(data["record"]), set(data["changes"])) == ("update", record, changes)
        assert (data["statements"], data["outbox"], data["workflows"]) == ([], [], [])
        assert {step["detail"] for step in data["steps"]} == {None}
        refused = (await shop.caller(role).post("order?explain=true", {"title": "B", "total": 9})).require(200).data
        assert refused["errors"] == [
            {"code": "FORBIDDEN", "status": 403, "message": "Permission denied for create on order"}
        ]
    assert_error(await shop.caller("clerk").put(f"order/{MISSING}?explain=true", {}), *missing("order", MISSING))
