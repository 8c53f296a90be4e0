"""Nested writes of one_to_one relations: contract §5.4 and §5.5."""

import asyncio

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_one

SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
PERSON = entity("person", name="string")
CARD = entity("card", person_id="uuid", code="string unique", color="string enum=red|blue", at="timestamp auto=update")
CARD_OF = one_to_one("card_of", "person", "card")
MODES = ("diff", "replace", "append")


class Desk:
    """Ann, who has the red card A, Bob with the blue card B, and Cleo who has none."""

    def __init__(self, client):
        self.client = client

    async def fill(self, card=CARD, **relation):
        await self.client.define(PERSON, card)
        await self.client.relate({**CARD_OF, **relation})
        self.people = {}
        for name, held in (
            ("Ann", {"code": "A", "color": "red"}),
            ("Bob", {"code": "B", "color": "blue"}),
            ("Cleo", None),
        ):
            body = {"name": name, "card_of": held} if held else {"name": name}
            self.people[name] = await self.client.create("person", body)
        self.ids = {row["code"]: row.get("id") for row in (await self.client.get("card")).data}
        self.before = await self.cards()
        return self

    async def put(self, name, payload):
        return await self.client.put(f"person/{self.people[name]['id']}", {"card_of": payload})

    async def cards(self):
        """Whose each card is, and its color."""
        rows = (await self.client.get("person?include=card_of")).data
        return {row["name"]: row["card_of"] and (row["card_of"]["code"], row["card_of"]["color"]) for row in rows}

    async def count(self):
        return (await self.client.get("card")).meta["total"]

    async def refused(self, answer, *details):
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", details)
        assert await self.cards() == self.before
        assert await self.count() == 2


@pytest.fixture
async def desk(client):
    return await Desk(client).fill()


BOB_AND_CLEO = {"Bob": ("B", "blue"), "Cleo": None}


def envelope(mode, items):
    return {"_write_mode": mode, "data": items}


async def test_every_form_writes_the_one_child(desk):
    forms = (lambda item: item, lambda item: [item], lambda item: {"data": [item]})
    in_envelope = [lambda item, mode=mode: envelope(mode, item) for mode in ("diff", "replace")]
    in_envelope += [lambda item, mode=mode: envelope(mode, [item]) for mode in ("diff", "replace")]
    for number, form in enumerate((*forms, *in_envelope)):
        answer = await desk.put("Ann", form({"id": desk.ids["A"], "code": f"A{number}"}))
        assert answer.require(200).data == desk.people["Ann"]
        assert (await desk.cards())["Ann"] == (f"A{number}", "red")
        made = await desk.client.create("person", {"name": f"new {number}", "card_of": form({"code": f"N{number}"})})
        assert (await desk.cards())[f"new {number}"] == (f"N{number}", None)
        assert "card_of" not in made
    assert await desk.count() == 2 + number + 1
    assert len(await desk.cards()) == 3 + number + 1


@pytest.mark.parametrize(
    ("mode", "stored", "same_row"), [("diff", ("new", "red"), True), ("replace", ("new", None), False)]
)
async def test_an_item_without_key_meets_the_child(desk, mode, stored, same_row):
    (await desk.put("Ann", envelope(mode, {"code": "new"}))).require(200)
    assert await desk.cards() == {"Ann": stored, **BOB_AND_CLEO}
    (row,) = (await desk.client.get("card?filter[code]=new")).data
    assert (row["id"] == desk.ids["A"]) is same_row
    assert await desk.count() == 2


async def test_a_second_child_is_not_appended(desk):
    for payload in ({"code": "new"}, [{"code": "new"}], [{"code": "new", "_delete": True}]):
        answer = await desk.put("Ann", envelope("append", payload))
        assert_error(answer, 409, "CONFLICT", "A record with this value already exists")
        assert await desk.cards() == desk.before
    assert await desk.count() == 2


@pytest.mark.parametrize("mode", MODES)
async def test_where_no_child_is_one_is_made(desk, mode):
    (await desk.put("Cleo", envelope(mode, {"code": "C", "color": "blue"}))).require(200)
    assert await desk.cards() == {**desk.before, "Cleo": ("C", "blue")}
    assert await desk.count() == 3


@pytest.mark.parametrize(
    ("mode", "stored"), [("diff", ("A", "blue")), ("replace", ("A", "blue")), ("append", ("A", "red"))]
)
async def test_an_item_with_the_childs_key(desk, mode, stored):
    (await desk.put("Ann", envelope(mode, {"id": desk.ids["A"], "color": "blue"}))).require(200)
    assert await desk.cards() == {"Ann": stored, **BOB_AND_CLEO}
    assert await desk.count() == 2


@pytest.mark.parametrize(("mode", "left"), [("diff", None), ("replace", ("A", "blue")), ("append", ("A", "red"))])
async def test_the_flag_to_delete(desk, mode, left):
    (await desk.put("Ann", envelope(mode, {"id": desk.ids["A"], "color": "blue", "_delete": True}))).require(200)
    assert await desk.cards() == {"Ann": left, **BOB_AND_CLEO}
    assert await desk.count() == (2 if left else 1)


@pytest.mark.parametrize(("mode", "left"), [("diff", ("A", "red")), ("replace", None), ("append", ("A", "red"))])
async def test_no_item(desk, mode, left):
    (await desk.put("Ann", envelope(mode, []))).require(200)
    assert await desk.cards() == {"Ann": left, **BOB_AND_CLEO}


@pytest.mark.parametrize("mode", MODES)
async def test_a_key_that_is_no_child_is_refused(desk, mode):
    for id in (SOME_ID, desk.ids["B"], "no-uuid"):
        message = f"card with id {id} not found"
        single = {"field": "card_of.id", "rule": "not_found", "message": message}
        await desk.refused(await desk.put("Ann", envelope(mode, {"id": id})), single)
        listed = {**single, "field": "card_of[0].id"}
        await desk.refused(await desk.put("Cleo", envelope(mode, [{"id": id, "color": "red"}])), listed)


@pytest.mark.parametrize("mode", MODES)
async def test_more_than_one_item_to_keep_is_refused(desk, mode):
    for name in ("Ann", "Cleo"):
        detail = {"field": "card_of[1]", "rule": "cardinality", "message": "card_of holds at most one record"}
        await desk.refused(await desk.put(name, envelope(mode, [{"code": "x"}, {"code": "y"}])), detail)
        body = {"name": "new", "card_of": envelope(mode, [{"code": "x"}, {"code": "y"}])}
        await desk.refused(await desk.client.post("person", body), detail)


async def test_an_item_that_goes_makes_room_for_one_that_stays(desk):
    going = {"id": desk.ids["A"], "_delete": True}
    (await desk.put("Ann", [{"code": "A", "color": "blue"}, going])).require(200)
    assert await desk.cards() == {"Ann": ("A", "blue"), **BOB_AND_CLEO}
    (row,) = (await desk.client.get("card?filter[code]=A")).data
    assert row["id"] != desk.ids["A"]
    (await desk.put("Ann", [{"id": row["id"], "_delete": True}, {"code": "none", "_delete": True}])).require(200)
    assert await desk.cards() == {"Ann": None, **BOB_AND_CLEO}
    assert await desk.count() == 1


async def test_a_child_with_the_key_and_one_without_are_two(desk):
    detail = {"field": "card_of[1]", "rule": "cardinality", "message": "card_of holds at most one record"}
    await desk.refused(await desk.put("Ann", [{"id": desk.ids["A"]}, {"code": "new"}]), detail)


async def test_softly_deleted_children_do_not_count(client):
    desk = await Desk(client).fill({**CARD, "soft_delete": True})
    (await desk.put("Ann", {"id": desk.ids["A"], "_delete": True})).require(200)
    detail = {"field": "card_of.id", "rule": "not_found", "message": f"card with id {desk.ids['A']} not found"}
    assert_error(await desk.put("Ann", {"id": desk.ids["A"]}), 422, "VALIDATION_FAILED", None, [detail])
    (await desk.put("Ann", envelope("append", {"code": "A"}))).require(200)
    (await desk.put("Bob", envelope("replace", {"code": "B"}))).require(200)
    assert await desk.cards() == {"Ann": ("A", None), "Bob": ("B", None), "Cleo": None}
    assert await desk.count() == 2


async def test_the_key_to_the_parent_is_forced(desk):
    (await desk.put("Cleo", {"code": "C", "person_id": desk.people["Bob"]["id"]})).require(200)
    (await desk.put("Ann", {"color": "blue", "person_id": desk.people["Cleo"]["id"]})).require(200)
    (await desk.put("Ann", {"color": "blue", "person_id": "junk"})).require(200)
    assert await desk.cards() == {"Ann": ("A", "blue"), "Bob": ("B", "blue"), "Cleo": ("C", None)}


async def test_a_card_as_read_earlier_is_written_back(desk, clock):
    read = (await desk.client.get(f"person/{desk.people['Ann']['id']}?include=card_of")).data
    clock.advance(hours=1)
    (await desk.client.put(f"person/{read['id']}", read)).require(200)
    again = (await desk.client.get(f"person/{read['id']}?include=card_of")).data
    later = "2026-01-02T04:04:05.678Z"
    assert again == {**read, "card_of": {**read["card_of"], "at": later}}


async def test_paths_of_findings_follow_the_body(desk):
    wrong = {"color": "green"}
    message = "color must be one of: red, blue"
    for payload, path in (
        (wrong, "card_of.color"),
        ([wrong], "card_of[0].color"),
        ({"data": [wrong]}, "card_of[0].color"),
        (envelope("replace", [wrong]), "card_of[0].color"),
        (envelope("replace", wrong), "card_of.color"),
    ):
        await desk.refused(await desk.put("Ann", payload), {"field": path, "rule": "enum", "message": message})
    taken = {"field": "card_of.code", "rule": "unique", "message": "code already exists"}
    answer = await desk.put("Ann", {"code": "B"})
    assert_error(answer, 409, "CONFLICT", "A record with this value already exists", [taken])
    unknown = {"field": "card_of.nonsense", "rule": "unknown", "message": "Unknown field or relation: nonsense"}
    await desk.refused(await desk.put("Ann", {"nonsense": 1}), unknown)


async def test_other_values_make_the_key_unknown_and_items_must_be_objects(desk):
    unknown = {"field": "card_of", "rule": "unknown", "message": "Unknown field or relation: card_of"}
    for payload in (None, "x", 5, False, {"_write_mode": "diff"}, {"_write_mode": "diff", "data": None}):
        await desk.refused(await desk.put("Ann", payload), unknown)
    for item in (None, "x", 5, []):
        wrong = {"field": "card_of[0]", "rule": "type", "message": "card_of[0] must be an object"}
        await desk.refused(await desk.put("Ann", [item]), wrong)


async def test_a_taken_parent_key_is_refused_outside_nested_writes_too(desk):
    detail = {"field": "person_id", "rule": "unique", "message": "person_id already exists"}
    answer = await desk.client.post("card", {"code": "new", "person_id": desk.people["Ann"]["id"]})
    assert_error(answer, 409, "CONFLICT", "A record with this value already exists", [detail])
    moved = await desk.client.put(f"card/{desk.ids['B']}", {"person_id": desk.people["Ann"]["id"]})
    assert_error(moved, 409, "CONFLICT", "A record with this value already exists", [detail])
    assert await desk.cards() == desk.before
    for code in ("free 1", "free 2"):
        await desk.client.create("card", {"code": code})


async def test_of_two_first_children_at_once_one_is_made(desk):
    answers = await asyncio.gather(*(desk.put("Cleo", envelope("append", {"code": code})) for code in ("x", "y", "z")))
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert await desk.count() == 3


async def test_a_key_of_the_clients_choice(client):
    options = {"primary_key": {"field": "code", "type": "string"}}
    desk = await Desk(client).fill(entity("card", options, code="string", person_id="uuid", color="string"))
    # A key that no row has is an insert; there is no room for it beside the child.
    assert_error(await desk.put("Ann", {"code": "new"}), 409, "CONFLICT")
    (await desk.put("Ann", envelope("replace", {"code": "new", "color": "blue"}))).require(200)
    (await desk.put("Cleo", {"code": "C"})).require(200)
    missing = {"field": "card_of.code", "rule": "required", "message": "code is required"}
    answer = await client.post("person", {"name": "Dan", "card_of": {"color": "red"}})
    assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [missing])
    assert await desk.cards() == {"Ann": ("new", "blue"), "Bob": ("B", "blue"), "Cleo": ("C", None)}
