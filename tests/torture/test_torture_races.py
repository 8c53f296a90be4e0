"""Requests that want the same thing at the same time, in two processes: contract §4.5, §5.5, §5.9, §5.10, §12."""

from __future__ import annotations

import secrets

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

MANY = 32
APPS = "/api/_platform/apps"
rounds = pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=pytest.mark.torture)])


async def everything(caller, path):
    """All records of a list, which must fit on one page."""
    answer = (await caller.get(f"{path}{'&' if '?' in path else '?'}per_page=200")).require(200)
    assert answer.meta["total"] == len(answer.data)
    return answer.data


async def create(caller, path, body):
    return (await caller.post(path, body)).require(201).data


@rounds
async def test_one_of_many_gets_a_unique_value(crowd, statuses, rounds):
    app = await crowd.app(entity("member", email="string! unique", name="string"))
    for number in range(rounds):
        email = f"{number}@example.org"
        answers = await crowd.at_once(app, [("POST", "member", {"email": email, "name": str(i)}) for i in range(MANY)])
        assert statuses(answers) == {201: 1, 409: MANY - 1}
        finding = {"field": "email", "rule": "unique", "message": "email already exists"}
        assert all(answer.error["details"] == [finding] for answer in answers if answer.status == 409)
        async with crowd.caller(app) as caller:
            stored = await everything(caller, f"member?filter[email]={email}")
        assert stored == [answer.data for answer in answers if answer.status == 201]


@rounds
async def test_one_of_many_gets_a_unique_value_by_an_update(crowd, statuses, rounds):
    app = await crowd.app(entity("member", email="string! unique"))
    async with crowd.caller(app) as caller:
        ids = [(await create(caller, "member", {"email": f"start{i}"}))["id"] for i in range(MANY)]
    for number in range(rounds):
        answers = await crowd.at_once(app, [("PUT", f"member/{id}", {"email": f"wanted{number}"}) for id in ids])
        assert statuses(answers) == {200: 1, 409: MANY - 1}


@rounds
async def test_one_of_many_writers_with_the_same_tag_succeeds(crowd, statuses, rounds):
    app = await crowd.app(entity("page", text="string", number="int"))
    async with crowd.caller(app) as caller:
        made = (await caller.post("page", {"text": "start", "number": 0})).require(201)
        path, tag = f"page/{made.data['id']}", made.headers["ETag"]
        for number in range(rounds):
            bodies = [{"text": f"{number}/{i}", "number": i} for i in range(MANY)]
            answers = await crowd.at_once(app, [("PUT", path, body, {"if_match": tag}) for body in bodies])
            assert statuses(answers) == {200: 1, 412: MANY - 1}
            (winner,) = (answer for answer in answers if answer.status == 200)
            read = (await caller.get(path)).require(200)
            tag = read.headers["ETag"]
            assert (read.data, tag) == (winner.data, winner.headers["ETag"])


@rounds
async def test_one_of_many_deletions_succeeds(crowd, statuses, rounds):
    app = await crowd.app(entity("page", text="string"), entity("kept", {"soft_delete": True}, text="string"))
    async with crowd.caller(app) as caller:
        for name in ("page", "kept") * rounds:
            id = (await create(caller, name, {"text": "x"}))["id"]
            answers = await crowd.at_once(app, [("DELETE", f"{name}/{id}")] * MANY)
            assert statuses(answers) == {200: 1, 404: MANY - 1}


@rounds
async def test_updates_without_a_tag_all_succeed_and_none_is_mixed_with_another(crowd, statuses, rounds):
    app = await crowd.app(entity("page", text="string", number="int"))
    async with crowd.caller(app) as caller:
        path = f"page/{(await create(caller, 'page', {'text': '', 'number': -1}))['id']}"
        for _ in range(rounds):
            answers = await crowd.at_once(app, [("PUT", path, {"text": str(i), "number": i}) for i in range(MANY)])
            assert statuses(answers) == {200: MANY}
            read = (await caller.get(path)).require(200).data
            assert read["text"] == str(read["number"])
            assert read in [answer.data for answer in answers]


@rounds
async def test_an_idempotency_key_makes_one_record(crowd, statuses, rounds):
    app = await crowd.app(
        entity("payment", amount="int", note="string"),
        entity("part", payment_id="uuid", share="int"),
        relations=[one_to_many("parts", "payment", "part")],
    )
    body = {"amount": 12, "note": "rent", "parts": [{"share": 5}, {"share": 7}]}
    async with crowd.caller(app) as caller:
        for _ in range(rounds):
            key = secrets.token_hex(8)
            answers = await crowd.at_once(app, [("POST", "payment", body, {"idempotency_key": key})] * MANY)
            assert set(statuses(answers)) <= {201, 409}
            made = [answer for answer in answers if answer.status == 201]
            (first,) = (answer for answer in made if "Idempotency-Replayed" not in answer.headers)
            assert {answer.body for answer in made} == {first.body}
            again = (await caller.post("payment", body, idempotency_key=key)).require(201)
            assert (again.body, again.headers["Idempotency-Replayed"]) == (first.body, "true")
            changed = await caller.post("payment", {**body, "amount": 13}, idempotency_key=key)
            assert_error(changed, 422, "IDEMPOTENCY_CONFLICT")
        assert len(await everything(caller, "payment")) == rounds
        assert len(await everything(caller, "part")) == 2 * rounds


@rounds
async def test_an_idempotency_key_of_two_bodies_stores_one(crowd, statuses, rounds):
    app = await crowd.app(entity("payment", amount="int"))
    for _ in range(rounds):
        key = {"idempotency_key": secrets.token_hex(8)}
        answers = await crowd.at_once(app, [("POST", "payment", {"amount": i % 2}, key) for i in range(MANY)])
        assert set(statuses(answers)) <= {201, 409, 422}
        assert len({answer.body for answer in answers if answer.status == 201}) == 1
    async with crowd.caller(app) as caller:
        assert len(await everything(caller, "payment")) == rounds


@rounds
async def test_one_of_many_makes_an_app_and_one_deletes_it(crowd, statuses, rounds):
    for _ in range(rounds):
        name = f"race{secrets.token_hex(4)}"
        answers = await crowd.at_once(None, [("POST", APPS, {"name": name})] * MANY)
        assert statuses(answers) == {201: 1, 409: MANY - 1}
        async with crowd.caller(name) as caller:
            assert (await caller.get(f"{APPS}/{name}")).require(200).data["status"] == "active"
            await create(caller, "_admin/entities", entity("thing", text="string"))
        gone = await crowd.at_once(None, [("DELETE", f"{APPS}/{name}")] * MANY)
        assert statuses(gone)[200] == 1
        assert set(statuses(gone)) <= {200, 404, 409}
        # Every process knows at once.
        for answer in await crowd.at_once(name, [("GET", "thing")] * 8):
            assert_error(answer, 404, "APP_NOT_FOUND")


@rounds
async def test_an_app_made_and_deleted_by_many_is_there_or_not(crowd, statuses, rounds):
    for _ in range(rounds):
        name = f"race{secrets.token_hex(4)}"
        answers = await crowd.at_once(None, [("POST", APPS, {"name": name}), ("DELETE", f"{APPS}/{name}")] * 8)
        assert set(statuses(answers)) <= {200, 201, 404, 409}
        async with crowd.caller(name) as caller:
            listed = await caller.get(f"{APPS}/{name}")
            if listed.status == 404:
                await create(caller, APPS, {"name": name})
            else:
                assert listed.require(200).data["status"] == "active"
            assert_error(await caller.get("thing"), 404, "UNKNOWN_ENTITY")
            (await caller.delete(f"{APPS}/{name}")).require(200)


@rounds
async def test_slugs_of_one_title_differ(crowd, statuses, rounds):
    slug = {"slug": {"field": "slug", "source": "title"}}
    app = await crowd.app(entity("post", slug, title="string", slug="string! unique"))
    for number in range(rounds):
        answers = await crowd.at_once(app, [("POST", "post", {"title": f"Title {number}"})] * MANY)
        assert statuses(answers) == {201: MANY}
        slugs = {answer.data["slug"] for answer in answers}
        assert len(slugs) == MANY
        assert all(slug.startswith(f"title-{number}") for slug in slugs)


@rounds
@pytest.mark.parametrize("mode", ["diff", "replace"])
async def test_a_parent_gets_one_child_at_most(crowd, statuses, rounds, mode):
    app = await crowd.app(
        entity("person", name="string"),
        entity("card", person_id="uuid", code="string"),
        relations=[one_to_one("card_of", "person", "card")],
    )
    async with crowd.caller(app) as caller:
        for _ in range(rounds):
            id = (await create(caller, "person", {"name": "Ann"}))["id"]
            payloads = [{"_write_mode": mode, "data": [{"code": str(i)}]} for i in range(MANY)]
            nested = await crowd.at_once(app, [("PUT", f"person/{id}", {"card_of": each}) for each in payloads])
            assert set(statuses(nested)) <= {200, 409}
            assert 200 in statuses(nested)
            cards = await everything(caller, f"card?filter[person_id]={id}")
            assert len(cards) == 1
            plain = await crowd.at_once(app, [("POST", "card", {"person_id": id, "code": "plain"})] * MANY)
            assert statuses(plain) == {409: MANY}
            assert await everything(caller, f"card?filter[person_id]={id}") == cards


@rounds
async def test_links_and_children_of_one_parent_are_neither_lost_nor_doubled(crowd, statuses, rounds):
    app = await crowd.app(
        entity("order", name="string"),
        entity("line", order_id="uuid", number="int"),
        entity("tag", name="string"),
        relations=[one_to_many("lines", "order", "line"), many_to_many("tags", "order", "tag")],
    )
    async with crowd.caller(app) as caller:
        tags = [(await create(caller, "tag", {"name": str(i)}))["id"] for i in range(4)]
        bodies = [{"lines": [{"number": i}], "tags": [tags[i % 4], tags[(i + 1) % 4]]} for i in range(MANY)]
        for _ in range(rounds):
            path = f"order/{(await create(caller, 'order', {'name': 'o'}))['id']}"
            answers = await crowd.at_once(app, [("PUT", path, body) for body in bodies])
            assert statuses(answers) == {200: MANY}
            read = (await caller.get(f"{path}?include=lines,tags")).require(200).data
            assert sorted(line["number"] for line in read["lines"]) == list(range(MANY))
            assert sorted(tag["id"] for tag in read["tags"]) == sorted(tags)


@rounds
async def test_writers_that_lock_rows_in_opposite_order_all_get_through(crowd, statuses, rounds):
    """Half of the requests write two parents' children from the one side, half from the other."""
    app = await crowd.app(
        entity("order", name="string", number="int"),
        entity("line", order_id="uuid", number="int"),
        relations=[one_to_many("lines", "order", "line")],
    )
    async with crowd.caller(app) as caller:
        body = {"name": "o", "lines": [{"number": i} for i in range(4)]}
        path = f"order/{(await create(caller, 'order', body))['id']}"
        lines = [line["id"] for line in (await caller.get(f"{path}?include=lines")).data["lines"]]
        for _ in range(rounds):
            asks = []
            for i in range(MANY // 4):
                asks.append(("PUT", path, {"lines": [{"id": id, "number": i} for id in lines]}))
                asks.append(("PUT", path, {"lines": [{"id": id, "number": i} for id in reversed(lines)]}))
                asks.append(("PUT", f"line/{lines[i % 4]}", {"number": -i}))
                asks.append(("PUT", f"line/{lines[-1 - i % 4]}", {"number": -i}))
            assert set(statuses(await crowd.at_once(app, asks))) == {200}


@rounds
async def test_definitions_of_many_follow_each_other(crowd, statuses, rounds):
    app = await crowd.app()
    async with crowd.caller(app) as caller:
        for number in range(rounds):
            name, path = f"thing{number}", f"_admin/entities/thing{number}"
            definitions = [entity(name, **{f"f{i}": "string"}) for i in range(8)]
            made = await crowd.at_once(app, [("POST", "_admin/entities", each) for each in definitions])
            assert statuses(made) == {201: 1, 409: 7}
            changed = await crowd.at_once(app, [("PUT", path, each) for each in definitions])
            assert statuses(changed) == {200: 8}
            fields = {field["name"] for field in (await caller.get(path)).require(200).data["definition"]["fields"]}
            (last,) = fields - {"id"}
            stored = await create(caller, name, {last: "x"})
            for answer in await crowd.at_once(app, [("GET", f"{name}/{stored['id']}")] * 8):
                assert answer.require(200).data == stored
