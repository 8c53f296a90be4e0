"""Steps in the pipelines of writes: which are accepted, when they run, and those that ask the outside world."""

import pytest

from rocket_kernel import Conflict, Plugin, Stage, Step, ValidationFailed, hookimpl
from rocket_kernel.testing import assert_error, entity, one_to_many

SECRET = "the text of a defect"
ORDER = entity("order", name="string!", note="string")
LINE = entity("line", name="string", order_id="uuid", qty="int")
LINES = one_to_many("lines", "order", "line", on_delete="cascade")
OPEN_STAGES = [
    "authorize", "load", "convert", "rules", "state_machine", "before_write", "policy", "slug", "files", "after_rules",
    "after_write", "outbox", "after_webhooks",
]  # fmt: skip
ACTIONS = frozenset({"create", "update", "delete"})


def plugin(name, *hooks, **members):
    """A plugin class with these functions as its hooks."""
    return type("Made", (Plugin,), {"name": name, **{hook.__name__: hookimpl(hook) for hook in hooks}, **members})


@pytest.fixture
def start(start_kernel):
    """A client of an app with orders and lines, on a kernel with these plugins."""

    async def start(*plugins, **config):
        running = await start_kernel(list(plugins), config=config)
        client = await running.client.app("shop")
        await client.define(ORDER, LINE)
        await client.relate(LINES)
        return client

    return start


async def totals(client, *names):
    return [(await client.get(name)).meta["total"] for name in names or ("order", "line")]


def tracer(seen, name="tracer", **members):
    """Notes every stage with the record it runs for."""

    def compile_write_steps(self, entity):
        return [Step(Stage(stage), f"{name}:{stage}", _noting(seen, stage), ACTIONS) for stage in OPEN_STAGES]

    return plugin(name, compile_write_steps, **members)


def _noting(seen, label):
    async def run(write):
        shown = write.record.get("name") or write.body.get("name") or (write.old or {}).get("name")
        seen.append((label, f"{write.action} {shown}"))

    return run


async def test_steps_run_in_the_order_of_the_stages(start):
    seen = []
    client = await start(tracer(seen))
    made = await client.create("order", {"name": "o"})
    assert seen == [(stage, "create o") for stage in OPEN_STAGES if stage != "load"]
    seen.clear()
    (await client.put(f"order/{made['id']}", {})).require(200)
    assert seen == [("authorize", "update None"), *((stage, "update o") for stage in OPEN_STAGES[1:])]
    seen.clear()
    (await client.delete(f"order/{made['id']}")).require(200)
    assert seen == [("authorize", "delete None"), *((stage, "delete o") for stage in OPEN_STAGES[1:])]
    seen.clear()
    assert (await client.put(f"order/{made['id']}", {})).status == 404
    assert seen == [("authorize", "update None")]
    await client.get("order")
    assert len(seen) == 1


async def test_a_stage_runs_over_the_whole_tree_and_rules_from_below(start):
    seen = []
    client = await start(tracer(seen))
    made = await client.create("order", {"lines": [{"name": "a"}, {"name": "b"}], "name": "o"})
    downwards, upwards = ["create o", "create a", "create b"], ["create a", "create b", "create o"]
    assert seen == [
        (stage, record)
        for stage in OPEN_STAGES
        if stage != "load"
        for record in (upwards if stage == "rules" else downwards)
    ]
    ids = {row["name"]: row["id"] for row in (await client.get("line")).data}
    seen.clear()
    lines = [{"name": "c"}, {"id": ids["a"], "qty": 2}, {"id": ids["b"], "_delete": True}]
    (await client.put(f"order/{made['id']}", {"lines": lines})).require(200)
    planned = ["create c", "update a", "delete b"]
    assert [record for stage, record in seen if stage == "authorize"] == ["update None", *planned]
    assert [record for stage, record in seen if stage == "load"] == ["update o", "update a", "delete b"]
    changed = ["delete b", "create c", "update a"]
    assert [record for stage, record in seen if stage == "rules"] == [*changed, "update o"]
    assert [record for stage, record in seen if stage == "after_write"] == ["update o", *changed]
    seen.clear()
    (await client.delete(f"order/{made['id']}")).require(200)
    for stage in ("before_write", "after_write", "outbox", "after_webhooks"):
        assert sorted(record for at, record in seen if at == stage) == ["delete a", "delete c", "delete o"]


async def test_of_one_stage_plugins_run_in_declared_order_and_their_steps_by_name(start):
    seen = []

    def steps(name, *details):
        def compile_write_steps(self):
            return [Step(Stage.RULES, f"{name}:{detail}", _noting(seen, f"{name}:{detail}")) for detail in details]

        return compile_write_steps

    client = await start(
        plugin("b", steps("b", "2", "1")), plugin("a", steps("a", "1"), after=("c",)), plugin("c", steps("c", "1"))
    )
    await client.create("order", {"name": "o"})
    assert [name for name, _ in seen] == ["b:1", "b:2", "c:1", "a:1"]


async def test_an_unsound_step_fails_the_change_of_metadata(start, caplog):
    found = []

    def compile_write_steps(self, entity):
        return found if entity.name == "bad" else []

    client = await start(plugin("faulty", compile_write_steps))
    unsound = [("rules", "other:x"), ("rules", "faulty"), ("rules", "faultyx:y")]
    unsound += [(stage, "faulty:x") for stage in ("classify", "lock", "write", "nested", "commit", "respond")]
    for step in ("faulty:x", None, *(Step(Stage(stage), name, _noting([], "")) for stage, name in unsound)):
        found[:] = [step]
        caplog.clear()
        answer = await client.post("_admin/entities", entity("bad", name="string"))
        assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error", [])
        assert "plugin 'faulty', hook compile_write_steps" in caplog.text
        assert_error(await client.get("_admin/entities/bad"), 404, "NOT_FOUND")
    await client.define(entity("good", name="string"))
    await client.create("good", {})


async def test_a_plugin_may_refuse_metadata(start):
    def compile_write_steps(self, entity, model):
        if "forbidden" in entity.fields:
            raise ValidationFailed("forbidden is no name for a field")
        if "broken" in entity.fields:
            raise ValueError(SECRET)
        return

    client = await start(plugin("strict", compile_write_steps))
    before = (await client.get("_admin/export")).body
    for name in ("line", "new"):
        for field, status, code, message in (
            ("forbidden", 422, "VALIDATION_FAILED", "forbidden is no name for a field"),
            ("broken", 500, "INTERNAL_ERROR", "Internal server error"),
        ):
            body = entity(name, **{field: "string"})
            if name == "line":
                answer = await client.put(
                    "_admin/entities/line", {**LINE, "fields": [*LINE["fields"], body["fields"][1]]}
                )
            else:
                answer = await client.post("_admin/entities", body)
            assert_error(answer, status, code, message, [])
    assert (await client.get("_admin/export")).body == before
    await client.create("order", {"name": "o", "lines": [{}]})


async def test_two_kernels_of_one_process_never_meet(start_kernel):
    seen, others = [], []
    first = await start_kernel([tracer(seen)])
    second = await start_kernel([tracer(others)])
    third = await start_kernel()
    client = await first.client.app("shop")
    await client.define(ORDER)
    await client.create("order", {"name": "a"})
    seen.clear()
    await third.client.in_app("shop").create("order", {"name": "b"})
    assert seen == others == []
    await second.client.in_app("shop").create("order", {"name": "c"})
    assert (seen, bool(others)) == ([], True)
    assert await totals(client, "order") == [3]


async def test_what_a_step_fills_is_asked_for_after_it(start_kernel):
    seen = []

    def compile_write_steps(self, entity):
        async def total(write):
            seen.append(write.record["slug"])
            if write.record["qty"] is not None:
                write.assign("total", write.record["qty"] * 2)

        return [Step(Stage.RULES, "sums:total", total, fills=frozenset({"total"}))]

    client = await (await start_kernel([plugin("sums", compile_write_steps)])).client.app("shop")
    slug = {"slug": {"field": "slug", "source": "name"}}
    await client.define(entity("sum", slug, name="string!", slug="string! unique", qty="int", total="int!"))
    made = await client.create("sum", {"name": "A", "qty": 3, "total": 1})
    assert (made["total"], made["slug"]) == (6, "a")
    # Rules do not see a slug that is still to be made.
    assert seen == [None]
    missing = [{"field": field, "rule": "required", "message": f"{field} is required"} for field in ("name", "total")]
    assert_error(await client.post("sum", {"name": "B"}), 422, "VALIDATION_FAILED", "Validation failed", missing[1:])
    assert_error(await client.post("sum", {}), 422, "VALIDATION_FAILED", "Validation failed", missing[:1])
    assert (await client.put("sum/a", {"qty": 5})).require(200).data["total"] == 10
    assert await totals(client, "sum") == [1]


# Steps of the stage before_webhooks: the outside world judges, and no connection is held meanwhile.


def outside(entity_name, asked, act):
    """Calls `act(write)` for each record of one entity that the outside world judges."""

    def compile_write_steps(self, entity):
        async def run(write):
            asked.append((write.action, write.key, write.record.get("name")))
            await act(write)

        return [Step(Stage.BEFORE_WEBHOOKS, "outside:ask", run, ACTIONS)] if entity.name == entity_name else []

    return plugin("outside", compile_write_steps)


@pytest.mark.parametrize("asked_for", ["order", "line"])
async def test_no_connection_is_held_while_the_outside_world_judges(start, asked_for):
    asked, before = [], []

    async def act(write):
        # With a pool of one this waits for ever, or fails, if the request holds its connection.
        if write.record["name"] == "o":
            await client.create(asked_for, {"name": f"from outside {len(asked)}"})

    async def before_write(self, write):
        before.append((write.record["name"], write.key))

    client = await start(outside(asked_for, asked, act), plugin("twice", before_write), app_pool_size=1)
    made = await client.create("order", {"name": "o", "lines": [{"name": "o"}]})
    (line,) = (await client.get("line?filter[name]=o")).data
    judged = made if asked_for == "order" else line
    # It judges what is then stored, under the key it gets.
    assert asked[0] == ("create", judged["id"], "o")
    assert [name for _, _, name in asked] == ["o", "from outside 1"]
    # The stages before run twice, for entities that reach such a step.
    assert before.count(("o", made["id"])) == before.count(("o", line["id"])) == 2
    assert await totals(client) == ([2, 1] if asked_for == "order" else [1, 2])
    (await client.put(f"order/{made['id']}", {"lines": [{"id": line["id"], "qty": 3}]})).require(200)
    assert await totals(client) == ([3, 1] if asked_for == "order" else [1, 3])


async def test_entities_out_of_reach_are_evaluated_once(start):
    asked, before = [], []

    async def act(write):
        return None

    async def before_write(self, write):
        before.append(write.entity.name)

    client = await start(outside("order", asked, act), plugin("once", before_write))
    await client.create("line", {"name": "a"})
    assert (asked, before) == ([], ["line"])


async def test_a_refusal_from_outside_stores_nothing(start, caplog):
    asked = []

    async def act(write):
        if write.record.get("name") == "no":
            raise ValidationFailed("refused outside")
        if write.record.get("name") == "broken":
            raise ValueError(SECRET)
        if write.record.get("name") == "find":
            write.fail("found outside", field="name", rule="expression")

    client = await start(outside("line", asked, act))
    refused = await client.post("order", {"name": "o", "lines": [{"name": "yes"}, {"name": "no"}, {"name": "more"}]})
    assert_error(refused, 422, "VALIDATION_FAILED", "refused outside", [])
    assert [name for _, _, name in asked] == ["yes", "no"]
    broken = await client.post("order", {"name": "o", "lines": [{"name": "broken"}]})
    assert_error(broken, 500, "INTERNAL_ERROR", "Internal server error", [])
    assert "plugin 'outside': step outside:ask raised ValueError" in caplog.text
    found = {"field": "lines[0].name", "rule": "expression", "message": "found outside"}
    finding = await client.post("order", {"name": "o", "lines": [{"name": "find"}]})
    assert_error(finding, 422, "VALIDATION_FAILED", "Validation failed", [found])
    # What fails before needs nobody's judgement.
    asked.clear()
    assert (await client.post("order", {"name": "", "lines": [{"name": "yes"}]})).status == 422
    assert asked == []
    assert await totals(client) == [0, 0]


CHANGED = "The record was changed by another request"


async def test_a_row_that_changes_meanwhile_is_a_conflict(start):
    asked, changes = [], []

    async def act(write):
        while changes:
            method, path, body = changes.pop()
            assert (await client.request(method, path, body)).status in (200, 201)

    client = await start(outside("order", asked, act))
    made = await client.create("order", {"name": "o", "lines": [{"name": "a"}]})
    (line,) = (await client.get("line")).data
    order, row = f"order/{made['id']}", f"line/{line['id']}"
    nested = {"note": "mine", "lines": [{"id": line["id"], "qty": 1}]}
    replaced = {"note": "mine", "lines": {"_write_mode": "replace", "data": []}}
    for method, body, change in (
        ("PUT", {"note": "mine"}, ("PUT", order, {"note": "theirs"})),
        ("PUT", nested, ("PUT", row, {"qty": 7})),
        ("PUT", replaced, ("PUT", row, {"qty": 8})),
        ("PUT", replaced, ("POST", "line", {"name": "b", "order_id": made["id"]})),
        ("DELETE", {}, ("PUT", row, {"qty": 9})),
        ("DELETE", {}, ("PUT", order, {"note": "again"})),
        ("DELETE", {}, ("POST", "line", {"name": "c", "order_id": made["id"]})),
    ):
        changes.append(change)
        assert_error(await client.request(method, order, body), 409, "CONFLICT", CHANGED, [])
        assert changes == []
    assert (await client.get(order)).data["note"] == "again"
    assert (await client.get(row)).data["qty"] == 9
    assert await totals(client) == [1, 3]
    # A row that is gone by then is not found; a change of another row does not matter.
    changes.append(("POST", "line", {"name": "stray"}))
    (await client.put(order, nested)).require(200)
    changes.append(("DELETE", order, {}))
    gone = await client.put(order, {"note": "mine"})
    assert_error(gone, 404, "NOT_FOUND", f"order with id {made['id']} not found", [])
    assert await totals(client) == [0, 1]


async def test_rows_of_a_cascade_are_judged_before_anything_is_deleted(start):
    asked, kept = [], ["b"]

    async def act(write):
        if write.action == "delete":
            assert await totals(client) == [1, 2]
            if write.old["name"] in kept:
                raise Conflict("kept outside")

    client = await start(outside("line", asked, act), app_pool_size=1)
    made = await client.create("order", {"name": "o", "lines": [{"name": "a"}, {"name": "b"}]})
    for answer in (
        await client.delete(f"order/{made['id']}"),
        await client.put(f"order/{made['id']}", {"lines": {"_write_mode": "replace", "data": []}}),
    ):
        assert_error(answer, 409, "CONFLICT", "kept outside", [])
        assert await totals(client) == [1, 2]
    kept.clear()
    asked.clear()
    (await client.delete(f"order/{made['id']}")).require(200)
    assert [action for action, _, _ in asked] == ["delete", "delete"]
    assert await totals(client) == [0, 0]
