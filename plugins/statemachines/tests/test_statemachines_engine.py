"""Moves that no client asks for: steps of workflows, and actions of other writes. Contract §8.2 and §9.1."""

import pytest

from rocket_kernel import SYSTEM, Call, Cause, Forbidden, ValidationFailed, WriteOrder

from .conftest import CLERK

NOW = "2026-01-02T03:04:05.678Z"
TRACE = "11111111-1111-4111-8111-111111111111"


def call(cause=None, actor=SYSTEM):
    return Call(actor, NOW, TRACE, cause)


async def test_a_workflow_may_set_any_state_and_takes_the_transition_that_matches(shop):
    app = await shop.kernel.apps.app("shop")
    free = Cause("workflow", 1)
    made = await app.perform_write(WriteOrder("create", "invoice", {"status": "paid", "total": "5000"}), call(free))
    key = made.record["id"]
    assert made.record["status"] == "paid"

    async def move(state, cause, **more):
        order = WriteOrder("update", "invoice", {"status": state, **more}, key, by_key=True)
        return (await app.perform_write(order, call(cause))).record

    assert (await move("draft", free))["voided_at"] is None
    # The guard would hold it back, but does not bind; the actions run all the same.
    assert (await move("void", free))["voided_at"] == NOW
    assert (await move("draft", free, voided_at=None))["voided_at"] is None
    strict = Cause("workflow", 1, strict=True)
    for state, message in (
        ("void", "Transition from 'draft' to 'void' blocked by guard"),
        ("paid", "Invalid transition from 'draft' to 'paid'"),
    ):
        with pytest.raises(ValidationFailed) as bound:
            await move(state, strict)
        assert [detail.message for detail in bound.value.details] == [message]
    # The engine skips roles: that of a manager is asked here.
    assert (await move("void", strict, total="5"))["voided_at"] == NOW
    with pytest.raises(ValidationFailed):
        await app.perform_write(WriteOrder("create", "invoice", {"status": "paid"}), call(strict))
    with pytest.raises(ValidationFailed):
        await app.perform_write(WriteOrder("create", "invoice", {"status": "paid"}), call())


async def test_of_transitions_that_a_workflow_matches_one_whose_guard_passes_goes_first(start_shop):
    client = await start_shop(machine=None)

    def way(note, guard):
        return {
            "from": "a",
            "to": "b",
            "guard": guard,
            "actions": [{"type": "set_field", "field": "note", "value": note}],
        }

    ways = [way("one", "record.total == 1"), way("two", "record.total == 2")]
    machine = {"entity": "invoice", "field": "status", "definition": {"initial": "a", "transitions": ways}}
    (await client.post("_admin/state-machines", machine)).require(201)
    app = await client.kernel.apps.app("shop")
    for total, note in (("1", "one"), ("2", "two"), ("3", "one")):
        key = (await client.create("invoice", {"total": total}))["id"]
        order = WriteOrder("update", "invoice", {"status": "b"}, key, by_key=True)
        assert (await app.perform_write(order, call(Cause("workflow", 1)))).record["note"] == note


async def test_a_caller_named_for_the_engine_is_bound_by_roles(shop):
    app = await shop.kernel.apps.app("shop")
    key = (await shop.create("invoice", {"total": "5"}))["id"]
    order = WriteOrder("update", "invoice", {"status": "void"}, key, by_key=True)
    with pytest.raises(Forbidden):
        await app.perform_write(order, call(Cause("action", 1), CLERK))
    await app.perform_write(order, call(Cause("action", 1)))
