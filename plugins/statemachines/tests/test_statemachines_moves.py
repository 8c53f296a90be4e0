"""Which states records take, and who may move them: contract §8.2, row by row."""

import pytest

from rocket_kernel import Plugin, Stage, Step, hookimpl
from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

from .conftest import CLERK, INVOICE, MACHINE, MANAGER, caller, finding

NOW = "2026-01-02T03:04:05.678Z"


def refused(answer, message, field="status"):
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [finding(message, field)])


async def create(client, **values):
    return f"invoice/{(await client.create('invoice', values))['id']}"


async def status(client, path):
    return (await client.get(path)).data["status"]


async def define(client, field, definition, entity="invoice", **more):
    body = {"entity": entity, "field": field, "definition": definition, **more}
    return (await client.post("_admin/state-machines", body)).require(201).data


async def test_a_new_record_gets_the_initial_state_before_the_default(shop):
    made = await shop.create("invoice", {"number": "1"})
    assert made["status"] == "draft"
    assert (await shop.create("invoice", {"status": "draft"}))["status"] == "draft"


async def test_the_initial_state_is_there_before_rules_and_required_checks(start_kernel, start_shop):
    seen = []

    @hookimpl
    def compile_write_steps(self, entity):
        async def look(write):
            seen.append(write.record.get("status"))

        return [Step(Stage.CONVERT, "looks:convert", look), Step(Stage.RULES, "looks:rules", look)]

    looks = type("Looks", (Plugin,), {"name": "looks", "compile_write_steps": compile_write_steps})
    client = await start_shop(looks, machine=None)
    await client.define(entity("task", title="string!", status="string!"))
    await define(client, "status", MACHINE["definition"] | {"transitions": [{"from": "draft", "to": "x"}]}, "task")
    assert (await client.create("task", {"title": "t"}))["status"] == "draft"
    assert seen == ["draft", "draft"]
    missing = [
        {"field": "title", "rule": "required", "message": "title is required"},
        {"field": "status", "rule": "required", "message": "status is required"},
    ]
    assert_error(await client.post("task", {"status": None}), 422, "VALIDATION_FAILED", "Validation failed", missing)


async def test_a_new_record_must_be_in_the_initial_state(shop):
    for value, shown in (
        ("sent", "sent"),
        (None, "null"),
        ("", ""),
        ("Draft", "Draft"),
        ("dra\u0301ft", "dra\u0301ft"),
    ):
        answer = await shop.post("invoice", {"status": value})
        refused(answer, f"Initial state must be 'draft', got '{shown}'")
    assert (await shop.get("invoice")).meta["total"] == 0


async def test_an_unchanged_state_is_not_looked_at(shop):
    path = await create(shop, total="5")
    for body in ({"note": "a"}, {"status": "draft"}, {}):
        (await shop.as_actor(CLERK).put(path, body)).require(200)
    void = await create(shop, total="5")
    (await shop.put(void, {"status": "void"})).require(200)
    (await shop.put(void, {"voided_at": None})).require(200)
    # The action of the transition to void does not run again.
    assert (await shop.put(void, {"status": "void"})).require(200).data["voided_at"] is None


async def test_a_move_the_machine_does_not_have_is_refused(shop):
    path = await create(shop, total="5")
    for value, shown in (("paid", "paid"), (None, ""), ("", ""), ("DRAFT", "DRAFT"), ("sent ", "sent ")):
        refused(await shop.put(path, {"status": value}), f"Invalid transition from 'draft' to '{shown}'")
    (await shop.put(path, {"status": "sent"})).require(200)
    refused(await shop.put(path, {"status": "draft"}), "Invalid transition from 'sent' to 'draft'")
    (await shop.put(path, {"status": "void"})).require(200)
    refused(await shop.patch(path, {"status": "sent"}), "Invalid transition from 'void' to 'sent'")
    assert await status(shop, path) == "void"


async def test_a_record_without_a_state_may_take_the_initial_one_only(start_shop):
    client = await start_shop(machine=None)
    path = await create(client, status=None, total="5000")
    guarded = {"from": "draft", "to": "draft", "roles": ["nobody"], "guard": "false"}
    await define(client, "status", {"initial": "draft", "transitions": [guarded]})
    clerk = client.as_actor(CLERK)
    refused(await clerk.put(path, {"status": "sent"}), "Invalid transition from '' to 'sent'")
    (await clerk.put(path, {"note": "still without"})).require(200)
    # Neither roles nor guard are asked.
    (await clerk.put(path, {"status": "draft"})).require(200)
    assert await status(client, path) == "draft"


async def test_roles_decide_who_may_move_a_record(shop):
    path = await create(shop, total="5")
    message = "Transition from 'draft' to 'void' not permitted for your role"
    assert_error(await shop.as_actor(CLERK).put(path, {"status": "void"}), 403, "FORBIDDEN", message, [])
    assert_error(await shop.as_actor(caller(3)).put(path, {"status": "void"}), 403, "FORBIDDEN", message, [])
    # A transition without roles is everyone's, and role names compare without regard to case.
    (await shop.as_actor(CLERK).put(path, {"status": "sent"})).require(200)
    (await shop.as_actor(MANAGER).put(path, {"status": "void"})).require(200)


async def test_admins_skip_the_roles_and_nothing_else(shop):
    rich = await create(shop, total="5000")
    refused(await shop.put(rich, {"status": "void"}), "Transition from 'draft' to 'void' blocked by guard")
    refused(await shop.put(rich, {"status": "paid"}), "Invalid transition from 'draft' to 'paid'")
    (await shop.put(rich, {"status": "void", "total": "999.99"})).require(200)


async def test_a_guard_sees_the_merged_record_and_all_names(start_shop):
    client = await start_shop(machine=None)
    guard = (
        "record.total > old.total and record.note == 'go' and action == 'update' and changes.status.new == 'b' "
        "and 'clerk' in user.roles and user.email startsWith 'user1@' and now > '2025-01-01'"
    )
    await define(client, "status", {"initial": "a", "transitions": [{"from": "a", "to": "b", "guard": guard}]})
    clerk = client.as_actor(CLERK)
    path = await create(client, total="5", note="go")
    refused(await clerk.put(path, {"status": "b"}), "Transition from 'a' to 'b' blocked by guard")
    (await clerk.put(path, {"status": "b", "total": "6"})).require(200)


async def test_a_guard_sees_related_rows_and_nested_items(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("line", qty="int", invoice_id="uuid"))
    await client.relate(one_to_many("lines", "invoice", "line"))
    guard = "sum(related.lines, 'qty') >= 3"
    await define(client, "status", {"initial": "a", "transitions": [{"from": "a", "to": "b", "guard": guard}]})
    path = await create(client, lines=[{"qty": 1}, {"qty": 1}])
    refused(await client.put(path, {"status": "b"}), "Transition from 'a' to 'b' blocked by guard")
    (await client.put(path, {"status": "b", "lines": [{"qty": 1}]})).require(200)


async def test_a_guard_that_fails_to_evaluate_holds_the_move_back(start_shop):
    client = await start_shop(machine=None)
    guard = "record.total / (record.total - record.total) > 1"
    await define(client, "status", {"initial": "a", "transitions": [{"from": "a", "to": "b", "guard": guard}]})
    path = await create(client, total="5")
    answer = await client.put(path, {"status": "b"})
    assert answer.status == 422
    (detail,) = answer.error["details"]
    assert detail["message"].startswith("Guard evaluation error: ")
    assert (detail["field"], detail["rule"]) == ("status", "state_machine")


async def test_of_several_transitions_the_first_whose_roles_and_guard_pass_is_taken(start_shop):
    client = await start_shop(machine=None)

    def way(note, **more):
        return {"from": "a", "to": "b", "actions": [{"type": "set_field", "field": "note", "value": note}], **more}

    ways = [
        way("boss", roles=["boss"]),
        way("small", roles=["clerk"], guard="record.total < 10"),
        way("error", roles=["clerk"], guard="record.total / 0 > 1 and false"),
        way("large", guard="record.total > 100"),
    ]
    await define(client, "status", {"initial": "a", "transitions": ways})
    clerk = client.as_actor(CLERK)
    for total, note in (("5", "small"), ("500", "large")):
        path = await create(client, total=total)
        assert (await clerk.put(path, {"status": "b"})).require(200).data["note"] == note
    # None passes: the first whose roles pass is reported.
    path = await create(client, total="50")
    refused(await clerk.put(path, {"status": "b"}), "Transition from 'a' to 'b' blocked by guard")
    # Of several that are held back the first says why.
    listed = (await client.get("_admin/state-machines")).data[0]
    ways[1], ways[2] = ways[2], ways[1]
    definition = {"initial": "a", "transitions": ways}
    (await client.put(f"_admin/state-machines/{listed['id']}", {"definition": definition})).require(200)
    answer = await clerk.put(path, {"status": "b"})
    assert answer.error["details"][0]["message"].startswith("Guard evaluation error: ")
    # Administrators pass every role, so the first is theirs.
    assert (await client.put(path, {"status": "b"})).require(200).data["note"] == "boss"
    path = await create(client, total="500")
    assert (await client.as_actor(MANAGER).put(path, {"status": "b"})).require(200).data["note"] == "large"


async def test_inactive_machines_bind_nothing(start_shop):
    client = await start_shop(machine=None)
    made = await define(client, "status", MACHINE["definition"], active=False)
    path = await create(client)
    assert await status(client, path) == "unset"
    (await client.put(path, {"status": "anything"})).require(200)
    (await client.put(f"_admin/state-machines/{made['id']}", {"active": True})).require(200)
    refused(await client.put(path, {"status": "x"}), "Invalid transition from 'anything' to 'x'")
    (await client.delete(f"_admin/state-machines/{made['id']}")).require(200)
    (await client.put(path, {"status": "x"})).require(200)


async def test_deleting_needs_no_transition(shop):
    path = await create(shop)
    (await shop.as_actor(CLERK).delete(path)).require(200)


async def test_nested_records_obey_at_every_level(start_shop):
    client = await start_shop()
    await client.define(
        entity("customer", name="string"),
        entity("batch", name="string", customer_id="uuid"),
        entity("tag", name="string"),
    )
    (
        await client.put(
            "_admin/entities/invoice",
            INVOICE
            | {
                "fields": [
                    *INVOICE["fields"],
                    {"name": "batch_id", "type": "uuid"},
                    {"name": "customer_id", "type": "uuid"},
                ]
            },
        )
    ).require(200)
    await client.relate(
        one_to_many("batches", "customer", "batch"),
        one_to_many("invoices", "batch", "invoice"),
        one_to_one("main_invoice", "customer", "invoice"),
        many_to_many("tagged", "tag", "invoice"),
    )
    body = {"name": "c", "batches": [{"name": "b", "invoices": [{"number": "1"}, {"number": "2", "status": "sent"}]}]}
    answer = await client.post("customer", body)
    refused(answer, "Initial state must be 'draft', got 'sent'", "batches[0].invoices[1].status")
    assert (await client.get("customer")).meta["total"] == 0
    tagged = await client.post("tag", {"name": "t", "tagged": [{"number": "3", "status": "void"}]})
    refused(tagged, "Initial state must be 'draft', got 'void'", "tagged[0].status")
    single = await client.post("customer", {"main_invoice": {"status": "paid"}})
    refused(single, "Initial state must be 'draft', got 'paid'", "main_invoice.status")
    made = await client.create("customer", {"batches": [{"invoices": [{"number": "1", "total": "5"}]}]})
    (row,) = (await client.get("invoice")).data
    (batch,) = (await client.get("batch")).data
    assert row["status"] == "draft"
    nested = {"batches": [{"id": batch["id"], "invoices": [{"id": row["id"], "status": "void"}]}]}
    message = "Transition from 'draft' to 'void' not permitted for your role"
    assert_error(await client.as_actor(CLERK).put(f"customer/{made['id']}", nested), 403, "FORBIDDEN", message)
    (await client.as_actor(MANAGER).put(f"customer/{made['id']}", nested)).require(200)
    assert (await client.get("invoice")).data[0]["voided_at"] == NOW


async def test_all_findings_of_a_request_are_answered_together(start_shop):
    client = await start_shop()
    await client.define(entity("batch", state="string"))
    (
        await client.put(
            "_admin/entities/invoice", INVOICE | {"fields": [*INVOICE["fields"], {"name": "batch_id", "type": "uuid"}]}
        )
    ).require(200)
    await client.relate(one_to_many("invoices", "batch", "invoice"))
    await define(client, "state", {"initial": "open", "transitions": [{"from": "open", "to": "shut"}]}, "batch")
    body = {"invoices": [{"status": "x"}, {}, {"status": "y"}], "state": "shut"}
    expected = [
        finding("Initial state must be 'open', got 'shut'", "state"),
        finding("Initial state must be 'draft', got 'x'", "invoices[0].status"),
        finding("Initial state must be 'draft', got 'y'", "invoices[2].status"),
    ]
    assert_error(await client.post("batch", body), 422, "VALIDATION_FAILED", "Validation failed", expected)


async def test_an_entity_may_have_several_machines(shop):
    await define(shop, "note", {"initial": "n1", "transitions": [{"from": "n1", "to": "n2"}]})
    made = await shop.create("invoice", {"total": "1"})
    assert (made["status"], made["note"]) == ("draft", "n1")
    answer = await shop.put(f"invoice/{made['id']}", {"status": "paid", "note": "n3"})
    expected = [
        finding("Invalid transition from 'n1' to 'n3'", "note"),
        finding("Invalid transition from 'draft' to 'paid'"),
    ]
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)
    (await shop.put(f"invoice/{made['id']}", {"status": "sent", "note": "n2"})).require(200)


@pytest.mark.parametrize(
    ("type", "states", "values"),
    [
        ("int", ("1", "2"), (1, 2)),
        ("boolean", ("false", "true"), (False, True)),
        ("decimal:2", ("1", "2.5"), ("1.00", "2.50")),
        ("date", ("2026-01-01", "2026-02-01"), ("2026-01-01", "2026-02-01")),
        ("bigint", ("9007199254740993", "2"), (9007199254740993, 2)),
    ],
)
async def test_states_compare_by_the_text_form_of_values_of_any_type(start_shop, type, states, values):
    client = await start_shop(machine=None)
    await client.define(entity("thing", level=type))
    first, second = states
    await define(client, "level", {"initial": first, "transitions": [{"from": first, "to": second}]}, "thing")
    made = await client.create("thing", {})
    path = f"thing/{made['id']}"
    assert str((await client.get(path)).data["level"]) == str(values[0])
    (row,) = (await client.get(f"{path}/_transitions")).data
    assert row["allowed"] is True
    (await client.put(path, {"level": row["to"]})).require(200)
    assert (await client.put(path, {"level": values[0]})).status == 422


async def test_sample_data_is_out_of_reach(shop):
    document = {
        "entities": [INVOICE],
        "sample_data": {"invoice": [{"number": "1", "status": "paid"}, {"number": "2"}]},
    }
    (await shop.post("_admin/import", document)).require(200)
    rows = (await shop.get("invoice?sort=number")).data
    assert [row["status"] for row in rows] == ["paid", "unset"]


async def test_explain_shows_the_step_and_what_refuses(shop):
    path = await create(shop, total="5000")
    explained = (await shop.put(f"{path}?explain=true", {"status": "void"})).require(200).data
    assert explained["would"] == "reject"
    (error,) = explained["errors"]
    assert (error["field"], error["rule"], error["message"]) == (
        "status",
        "state_machine",
        "Transition from 'draft' to 'void' blocked by guard",
    )
    (step,) = [step for step in explained["steps"] if step["plugin"] == "statemachines"]
    assert (step["stage"], step["outcome"]) == ("state_machine", "rejected")
    allowed = (await shop.put(f"{path}?explain=true", {"status": "sent"})).require(200).data
    assert (allowed["would"], allowed["record"]["status"]) == ("update", "sent")
    assert await status(shop, path) == "draft"
