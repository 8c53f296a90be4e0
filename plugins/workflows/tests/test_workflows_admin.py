"""`_admin/workflows`: versions, conflicts, entities that go, export and import."""

from rocket_kernel.testing import assert_error, entity

PATH = "_admin/workflows"
WAIT = {"id": "w", "type": "wait", "duration": "1h"}
NO_ID = "12345678-90ab-4cde-8f01-234567890abc"


async def test_rows_are_listed_by_name_and_changed_key_by_key(flow):
    for name in ("b", "a", "B"):
        await flow.define(name, {"type": "manual"}, [WAIT], roles=["x"])
    assert [row["name"] for row in (await flow.client.get(PATH)).data] == ["B", "a", "b"]
    id = flow.names["a"]
    row = (await flow.client.get(f"{PATH}/{id}")).data
    assert list(row) == ["id", "name", "trigger", "context", "steps", "active", "version", "created_at", "updated_at"]
    flow.clock.advance(seconds=1)
    renamed = (await flow.client.put(f"{PATH}/{id}", {"name": "c", "version": 9, "id": NO_ID})).require(200).data
    assert renamed == {**row, "name": "c", "updated_at": "2026-01-02T03:04:06.678Z"}
    assert (await flow.client.delete(f"{PATH}/{id.upper()}")).data == {"id": id, "deleted": True}


async def test_a_name_is_taken_once(flow):
    await flow.define("a", {"type": "manual"}, [WAIT])
    other = await flow.define("b", {"type": "manual"}, [WAIT])
    again = {"name": "a", "trigger": {"type": "manual"}, "steps": [WAIT]}
    assert_error(await flow.client.post(PATH, again), 409, "CONFLICT", "Workflow already exists: a")
    clash = await flow.client.put(f"{PATH}/{other['id']}", {"name": "a"})
    assert_error(clash, 409, "CONFLICT", "Workflow already exists: a")


async def test_ids_that_name_none(flow):
    for id in (NO_ID, "nonsense", "7", "%00"):
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/diagram")):
            refused = await flow.client.request(method, f"{PATH}/{id}{path}", {})
            assert refused.status == 404, (method, id, path)
            assert refused.error["message"].startswith("Workflow not found: ")


async def test_the_version_grows_with_the_definition_alone(flow):
    row = await flow.define("a", {"type": "manual"}, [WAIT], {"x": "record_id", "y": "trigger.user.id"})

    async def version(**changes):
        return (await flow.client.put(f"{PATH}/{row['id']}", changes)).require(200).data["version"]

    assert await version(active=False) == 1
    assert await version(name="z") == 1
    assert await version(steps=[WAIT]) == 1
    assert await version(context={"y": "trigger.user.id", "x": "record_id"}) == 1, "the order of members says nothing"
    assert await version(steps=[{**WAIT, "duration": "2h"}]) == 2
    assert await version(context={}) == 3
    assert await version(trigger={"type": "manual", "roles": ["a"]}) == 4
    assert await version(steps=[WAIT], context={"x": "record_id"}) == 5


async def test_a_refused_change_leaves_everything_as_it_was(flow):
    row = await flow.define("a", {"type": "manual"}, [WAIT])
    refused = await flow.client.put(f"{PATH}/{row['id']}", {"steps": [{**WAIT, "then": "x"}]})
    assert_error(refused, 422, "VALIDATION_FAILED", "goto target 'x' references unknown step")
    assert (await flow.client.get(f"{PATH}/{row['id']}")).data == row


async def test_with_its_entity_a_workflow_loses_its_trigger(flow):
    await flow.client.define(entity("parcel", state="string"))
    steps = [{"id": "a", "type": "action", "actions": [{"type": "delete_record", "entity": "parcel", "record_id": 1}]}]
    await flow.define("watching", {"type": "update", "entity": "parcel"}, [WAIT])
    await flow.define("acting", {"type": "manual"}, steps)
    (await flow.client.delete("_admin/entities/parcel")).require(200)
    rows = {row["name"]: row["active"] for row in (await flow.client.get(PATH)).data}
    assert rows == {"watching": False, "acting": True}
    refused = await flow.client.put(f"{PATH}/{flow.names['watching']}", {"active": True})
    assert_error(refused, 422, "VALIDATION_FAILED", "entity not found: parcel")
    failed = await flow.run("acting")
    assert (failed["status"], failed["error"]) == ("failed", "Unknown entity: parcel")


async def test_deleting_a_workflow_takes_instances_and_versions_along(flow):
    row = await flow.define("a", {"type": "manual"}, [WAIT])
    began = await flow.start("a")
    await flow.client.put(f"{PATH}/{row['id']}", {"steps": [{**WAIT, "duration": "2h"}]})
    (await flow.client.delete(f"{PATH}/{row['id']}")).require(200)
    assert await flow.instances() == []
    gone = await flow.client.get(f"_workflows/{began['id']}")
    assert_error(gone, 404, "NOT_FOUND", f"Workflow instance not found: {began['id']}")
    app = await flow.app()
    async with app.reading() as (session, _):
        for table in ("_workflow_versions", "_workflow_instances", "_workflow_schedules"):
            assert [tuple(found) for found in await session.fetch(f'SELECT count(*) FROM "{table}"')] == [(0,)]


async def test_export_and_import_go_round(flow):
    approval = {"id": "b", "type": "approval", "on_approve": {"goto": "a"}, "note": "kept"}
    steps = [{"id": "a", "type": "condition", "expression": "context.n > 5", "on_true": "b"}, approval]
    await flow.define("z", {"type": "manual", "entity": "invoice"}, steps, {"n": "record.total"}, active=False)
    await flow.define("a", {"type": "schedule", "cron": "0 0 * * *"}, [WAIT])
    document = (await flow.client.get("_admin/export")).data
    assert [workflow["name"] for workflow in document["workflows"]] == ["a", "z"]
    assert list(document["workflows"][0]) == ["name", "trigger", "context", "steps", "active"]
    other = await flow.client.app("other")
    imported = (await other.post("_admin/import", document)).data
    assert (imported["summary"]["workflows"], imported.get("errors")) == (2, None)
    again = (await other.get("_admin/export")).data
    assert {**again, "exported_at": ""} == {**document, "exported_at": ""}
    assert (await other.post("_admin/import", document)).data["summary"]["workflows"] == 0
    document["workflows"][0]["steps"] = [{"id": "a", "type": "wait"}]
    document["workflows"][1]["active"] = True
    plan = (await other.post("_admin/import?mode=plan", document)).data
    assert plan["errors"] == ["workflow a: invalid duration: null"]
    assert [change for change in plan["changes"] if change["kind"] == "workflow"] == [
        {"action": "skip", "kind": "workflow", "key": "z"}
    ]
