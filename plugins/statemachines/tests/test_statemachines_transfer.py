"""Machines in export documents, imports and plans."""

import copy

from rocket_kernel.testing import Actors

from .conftest import INVOICE, MACHINE

REPORT = {"message": "Import completed"}


def document(*machines):
    return {"version": 1, "entities": [INVOICE], "state_machines": list(machines)}


async def test_export_and_import_into_an_empty_app_give_the_same_document(shop, start_shop):
    (await shop.post("_admin/state-machines", {**MACHINE, "field": "note", "active": False})).require(201)
    exported = (await shop.get("_admin/export")).data
    assert [list(machine) for machine in exported["state_machines"]] == [
        ["entity", "field", "definition", "active"]
    ] * 2
    other = await shop.app("other")
    summary = (await other.post("_admin/import", exported)).require(200).data
    assert (summary["summary"]["state_machines"], summary.get("errors")) == (2, None)
    again = (await other.get("_admin/export")).data
    assert {**again, "exported_at": 0} == {**exported, "exported_at": 0}
    second = (await other.post("_admin/import", exported)).require(200).data
    assert (second["summary"]["state_machines"], second.get("errors")) == (0, None)
    made = await other.create("invoice", {})
    assert made["status"] == "draft"


async def test_a_machine_that_says_the_same_is_the_same(shop):
    same = copy.deepcopy(MACHINE)
    same["definition"] = dict(reversed(same["definition"].items()))
    same["definition"]["transitions"][0].update({"from": ["draft"], "roles": [], "guard": "", "actions": None})
    different = copy.deepcopy(MACHINE)
    different["definition"]["transitions"][1]["roles"] = ["boss"]
    for machine, changes in (
        (same, []),
        (different, [{"action": "skip", "kind": "state_machine", "key": "invoice/status"}]),
    ):
        plan = (await shop.post("_admin/import?mode=plan", document(machine))).require(200).data
        assert plan == {"changes": changes, "records": {}}
        applied = (await shop.post("_admin/import", document(machine))).require(200).data
        assert applied["summary"]["state_machines"] == 0
    (row,) = (await shop.get("_admin/state-machines")).data
    assert row["definition"] == MACHINE["definition"]
    inactive = (await shop.post("_admin/import?mode=plan", document({**MACHINE, "active": False}))).data
    assert [change["action"] for change in inactive["changes"]] == ["skip"]


async def test_faulty_machines_are_reported_and_the_rest_goes_on(start_shop):
    client = await start_shop(machine=None)
    faulty = [
        {"entity": "nothing", "field": "x"},
        {"entity": "invoice", "field": "status", "definition": {}},
        {"entity": ["invoice"], "field": {"a": 1}},
        {},
        "text",
        {**MACHINE, "definition": {"initial": "a", "transitions": [{"from": "a", "to": "b", "guard": "record.x"}]}},
        MACHINE,
    ]
    plan = (await client.post("_admin/import?mode=plan", document(*faulty))).require(200).data
    assert plan["changes"] == [{"action": "create", "kind": "state_machine", "key": "invoice/status"}]
    assert (await client.get("_admin/state-machines")).data == []
    report = (await client.post("_admin/import", document(*faulty))).require(200).data
    assert report["summary"]["state_machines"] == 1
    assert [error.partition(": invalid expression")[0] for error in report["errors"]] == [
        "state_machine nothing/x: entity not found: nothing",
        "state_machine invoice/status: at least one transition is required",
        'state_machine ["invoice"]/{"a":1}: entity not found: ["invoice"]',
        "state_machine /: entity is required",
        "state_machine: object expected",
        "state_machine invoice/status",
    ]


async def test_without_the_plugin_machines_are_refused_by_its_name(start_kernel):
    client = await (await start_kernel([Actors])).client.app("shop")
    report = (await client.post("_admin/import", document(MACHINE))).require(200).data
    assert report["errors"] == ["state_machines: plugin 'statemachines' is not enabled"]
    assert (await client.get("_admin/state-machines")).status == 404
    made = await client.create("invoice", {})
    assert (await client.get(f"invoice/{made['id']}/_transitions")).status == 404
