"""`write.fail(…, last=True)`: a finding that ends the stage."""

from __future__ import annotations

import pytest

from rocket_kernel import Plugin, Stage, Step, hookimpl
from rocket_kernel.testing import entity, one_to_many


class Picky(Plugin):
    """Fails in the stage and at the record that the note of the record names."""

    name = "picky"

    @hookimpl
    def compile_write_steps(self, entity):
        if "note" not in entity.fields:
            return []
        stages = (Stage.CONVERT, Stage.RULES, Stage.STATE_MACHINE, Stage.AFTER_RULES)
        return [
            Step(stage, f"picky:{stage}:{number}", self.judge(str(stage), number))
            for stage in stages
            for number in (1, 2)
        ]

    def judge(self, stage, number):
        async def run(write):
            note = (write.record["note"] or "").split()
            if stage in note:
                other = write.parent if "parent" in note and write.parent is not None else write
                other.fail(f"{stage} {number}", field="note", rule="picky", last="last" in note)

        return run


@pytest.fixture
async def shop(start_kernel):
    client = await (await start_kernel([Picky])).client.app("shop")
    await client.define(entity("sale", note="string"), entity("line", sale_id="uuid", note="string"))
    await client.relate(one_to_many("lines", "sale", "line"))
    return client


def found(answer):
    assert (answer.status, answer.error["message"]) == (422, "Validation failed")
    return [(detail["field"], detail["message"]) for detail in answer.error["details"]]


async def test_without_it_all_findings_are_collected(shop):
    body = {"note": "rules", "lines": [{"note": "rules"}]}
    assert found(await shop.post("sale", body)) == [
        ("note", "rules 1"), ("note", "rules 2"), ("lines[0].note", "rules 1"), ("lines[0].note", "rules 2"),
    ]  # fmt: skip


@pytest.mark.parametrize("stage", ["convert", "rules", "state_machine", "after_rules"])
async def test_it_ends_the_stage_with_what_was_found_before(stage, shop):
    assert found(await shop.post("sale", {"note": f"{stage} last"})) == [("note", f"{stage} 1")]
    body = {"note": stage, "lines": [{"note": stage}, {"note": f"{stage} last"}, {"note": stage}]}
    answered = found(await shop.post("sale", body))
    items_first = stage == "rules"
    assert (("note", f"{stage} 1") in answered) is not items_first
    assert answered[-1] == ("lines[1].note", f"{stage} 1")
    assert ("lines[0].note", f"{stage} 2") in answered
    assert (await shop.get("sale")).meta["total"] == 0


async def test_a_finding_about_another_record_counts_too(shop):
    body = {"lines": [{"note": "rules last parent"}, {"note": "rules"}]}
    assert found(await shop.post("sale", body)) == [("note", "rules 1")]


async def test_explain_shows_where_it_ended(shop):
    explained = (await shop.post("sale?explain=true", {"note": "rules last"})).require(200).data
    outcomes = {
        step["name"]: (step["outcome"], step["detail"]) for step in explained["steps"] if step["plugin"] == "picky"
    }
    assert outcomes["picky:rules:1"] == ("rejected", "rules 1")
    assert outcomes["picky:rules:2"][0] == "skipped"
    assert [error["message"] for error in explained["errors"]] == ["rules 1"]
