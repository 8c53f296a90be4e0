"""Idempotency-Key: contract §5.10."""

import asyncio
from typing import ClassVar
from uuid import uuid4

import pytest

from rocket_kernel import Actor, Call, Plugin, hookimpl, json_text, timestamp_text
from rocket_kernel.actor import OPEN_HOUSE
from rocket_kernel.apps.system_tables import IDEMPOTENCY
from rocket_kernel.errors import Forbidden
from rocket_kernel.query.access import OPEN, ReadGrant
from rocket_kernel.query.filters import Compare, Related
from rocket_kernel.store import postgres_store
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import Actors, assert_error, entity, one_to_many
from rocket_kernel.write.idempotency import read_ticket
from rocket_kernel.write.perform import WriteOrder, perform
from rocket_kernel.write.stages import ACTIONS, Stage, Step

BOOK = entity("book", title="string! unique", price="decimal", weight="float", more="json", pages="int")
OTHER_REQUEST = "Idempotency-Key was used with a different request"
RUNNING = "A request with the same Idempotency-Key is still running"
ONE = Actor(id="00000000-0000-4000-8000-00000000000a", email=None, roles=frozenset({"clerk"}))
OTHER = Actor(id="00000000-0000-4000-8000-00000000000b", email=None, roles=frozenset({"clerk"}))


def keyed(key="k1", **more):
    return {"Idempotency-Key": key, **more}


def assert_replayed(again, first):
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true"


def assert_new(answer):
    assert answer.status == 201, answer
    assert "Idempotency-Replayed" not in answer.headers


async def stored(client):
    app = await client.kernel.apps.app(client.app_name)
    async with app.reading() as (session, _registry):
        return await TableRows(IDEMPOTENCY).select(session, order_by=("key",))


async def total(client, name="book"):
    return (await client.get(name)).meta["total"]


async def test_the_same_request_gets_the_same_answer_and_writes_once(client):
    await client.define(BOOK)
    body = {"title": "Ä", "price": "9.500", "weight": 1e22, "more": {"b": [1.0, 2], "a": "\u2028"}}
    first = await client.post("book", body, headers=keyed())
    assert_new(first)
    for _ in range(3):
        assert_replayed(await client.post("book", body, headers=keyed()), first)
    assert await total(client) == 1
    (row,) = await stored(client)
    assert (row["key"], row["status"], row["expires_at"]) == ("k1", 201, "2026-01-03T03:04:05.678Z")


async def test_it_is_the_stored_answer_whatever_has_become_of_the_record(client):
    await client.define(BOOK)
    first = (await client.post("book", {"title": "Emma"}, headers=keyed())).require(201)
    path = f"book/{first.data['id']}"
    (await client.put(path, {"title": "Persuasion"})).require(200)
    again = await client.post("book", {"title": "Emma"}, headers=keyed())
    assert_replayed(again, first)
    # The tag is that of the record as it was, so whoever goes on from it notices.
    assert (await client.put(path, {"pages": 1}, headers={"If-Match": again.headers["ETag"]})).status == 412
    (await client.delete(path)).require(200)
    assert_replayed(await client.post("book", {"title": "Emma"}, headers=keyed()), first)
    assert await total(client) == 0


async def test_nested_records_are_written_once(client):
    await client.define(entity("order", name="string"), entity("line", order_id="uuid", sku="string"))
    await client.relate(one_to_many("lines", "order", "line"))
    body = {"name": "x", "lines": [{"sku": "a"}, {"sku": "b"}]}
    first = await client.post("order", body, headers=keyed())
    assert_replayed(await client.post("order", body, headers=keyed()), first)
    assert (await total(client, "order"), await total(client, "line")) == (1, 2)


async def test_soft_deleting_entities_replay_too(client):
    await client.define(entity("post", {"soft_delete": True}, text="string"))
    first = (await client.post("post", {"text": "x"}, headers=keyed())).require(201)
    assert first.data["deleted_at"] is None
    assert_replayed(await client.post("post", {"text": "x"}, headers=keyed()), first)


SAME_JSON = [
    b'{"title":"x","price":1.50,"more":{"a":[1,2],"b":null}}',
    b' {"more": {"b": null, "a": [1, 2]}, "price": 1.5, "title": "\\u0078"} ',
    b'{"title":"old","title":"x","price":15e-1,"more":{"a":[1.0,0.2e1],"b":null}}',
]
OTHER_JSON = [
    b'{"title":"x","price":"1.50","more":{"a":[1,2],"b":null}}',
    b'{"title":"x","price":1.50,"more":{"a":[2,1],"b":null}}',
    b'{"title":"x","price":1.50,"more":{"a":[1,2]}}',
    b'{"title":"x","price":1.50000000000000000000001,"more":{"a":[1,2],"b":null}}',
    b'{"title":"x","price":1.50,"more":{"a":[true,2],"b":null}}',
    b'{"title":"x","price":-1.50,"more":{"a":[1,2],"b":null}}',
    b"{}",
]


async def test_bodies_are_compared_as_json(client):
    await client.define(BOOK)
    json = {"Content-Type": "application/json"}
    first = (await client.post("book", content=SAME_JSON[0], headers=keyed(**json))).require(201)
    for content in SAME_JSON:
        assert_replayed(await client.post("book", content=content, headers=keyed(**json)), first)
    for content in OTHER_JSON:
        answer = await client.post("book", content=content, headers=keyed(**json))
        assert_error(answer, 422, "IDEMPOTENCY_CONFLICT", OTHER_REQUEST, [])
    assert_error(await client.post("book", headers=keyed()), 422, "IDEMPOTENCY_CONFLICT", OTHER_REQUEST)
    assert await total(client) == 1


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("0", "-0.0", True),
        ("0", "0e7", True),
        ("100", "1e2", True),
        ("0.001", "1E-3", True),
        ("12345678901234567890.5", "123456789012345678905e-1", True),
        ("1", "true", False),
        ("1", '"1"', False),
        ("10", "1", False),
        ("1e400", "1e401", False),
        ("9007199254740993", "9007199254740992", False),
        ("[1,2]", "[12]", False),
        ("[]", "{}", False),
        ("null", '"null"', False),
        ('{"a":{"b":1}}', '{"a":{},"b":1}', False),
        ("1e" + "0" * 5000 + "1", "1e" + "0" * 5000 + "1", True),
    ],
)
def test_hashes_of_bodies(one, other, equal):
    hashes = [
        read_ticket("k", ONE, "book", json_text.decode(f'{{"x":{text}}}'.encode())).request_hash
        for text in (one, other)
    ]
    assert (hashes[0] == hashes[1]) is equal


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "x" * 256, "tab\tbed", "\x7f"])
async def test_keys_that_are_none(client, key):
    await client.define(BOOK)
    answer = await client.post("book", {"title": "x"}, headers=keyed(key))
    assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid Idempotency-Key")
    assert await total(client) == 0


async def test_keys_of_all_kinds(client):
    await client.define(BOOK)
    visible = "".join(map(chr, range(33, 127)))
    for number, key in enumerate(["!", "~", "x" * 255, visible, '"quoted"', "K", "k"]):
        first = await client.post("book", {"title": f"{number}"}, headers=keyed(key))
        assert_new(first)
        assert_replayed(await client.post("book", {"title": f"{number}"}, headers=keyed(key)), first)


async def test_a_key_belongs_to_one_user_and_one_route(start_kernel):
    running = await start_kernel([Actors])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string"), entity("film", title="string"))
    body = {"title": "Emma"}
    for caller in (client, client.as_actor(ONE), client.as_actor(OTHER)):
        for name in ("book", "film"):
            first = await caller.post(name, body, headers=keyed())
            assert_new(first)
            assert_replayed(await caller.post(name, body, headers=keyed()), first)
    assert (await total(client), await total(client, "film")) == (3, 3)
    second = await running.client.app("other")
    await second.define(entity("book", title="string"))
    assert_new(await second.post("book", body, headers=keyed()))
    platform = Actor(id=ONE.id, email=None, roles=ONE.roles, platform=True)
    assert_new(await client.as_actor(platform).post("book", body, headers=keyed()))


async def test_it_counts_on_creates_only(client):
    await client.define(BOOK)
    made = await client.create("book", {"title": "Emma"}, headers=keyed())
    path = f"book/{made['id']}"
    for number in range(2):
        answer = (await client.put(path, {"pages": number}, headers=keyed("ä"))).require(200)
        assert (answer.data["pages"], "Idempotency-Replayed" in answer.headers) == (number, False)
    assert (await client.delete(path, headers=keyed())).status == 200
    assert (await client.delete(path, headers=keyed())).status == 404


async def test_failed_requests_leave_no_trace(client):
    await client.define(BOOK)
    await client.create("book", {"title": "taken"})
    assert (await client.post("book", {}, headers=keyed())).status == 422
    assert (await client.post("book", {"title": "taken"}, headers=keyed())).status == 409
    assert (await client.post("nothing", {}, headers=keyed())).status == 404
    assert await stored(client) == []
    first = await client.post("book", {"title": "free"}, headers=keyed())
    assert_new(first)
    assert_replayed(await client.post("book", {"title": "free"}, headers=keyed()), first)


async def test_requests_without_a_key_store_nothing(client):
    await client.define(BOOK)
    await client.create("book", {"title": "Emma"})
    assert await stored(client) == []


async def test_a_key_is_free_again_after_a_day(client, clock):
    await client.define(entity("book", title="string"))
    first = await client.post("book", {"title": "Emma"}, headers=keyed())
    clock.advance(hours=23, minutes=59)
    assert_replayed(await client.post("book", {"title": "Emma"}, headers=keyed()), first)
    clock.advance(minutes=1)
    second = await client.post("book", {"title": "other body"}, headers=keyed())
    assert_new(second)
    clock.advance(hours=23)
    assert_replayed(await client.post("book", {"title": "other body"}, headers=keyed()), second)
    assert len(await stored(client)) == 1


async def test_expired_rows_are_removed_by_and_by(start_kernel, clock):
    client = await (await start_kernel()).client.app("shop")
    await client.define(entity("book", title="string"))
    for number in range(4):
        clock.advance(seconds=0.001)
        await client.create("book", {}, headers=keyed(f"old{number}"))
    clock.advance(hours=12)
    await client.create("book", {}, headers=keyed("young"))
    clock.advance(hours=12)
    # A process looks with its first key, and then with every fiftieth.
    other = (await start_kernel()).client.in_app("shop")
    await other.create("book", {}, headers=keyed("new"))
    assert [row["key"] for row in await stored(client)] == ["new", "young"]
    clock.advance(hours=25)
    for number in range(49):
        await other.create("book", {}, headers=keyed(f"next{number}"))
    assert len(await stored(client)) == 51
    await other.create("book", {}, headers=keyed("fiftieth"))
    assert len(await stored(client)) == 50


async def test_the_number_of_rows_removed_at_once_is_bounded(start_kernel, clock, monkeypatch):
    monkeypatch.setattr("rocket_kernel.write.idempotency._PURGED_AT_MOST", 2)
    client = await (await start_kernel()).client.app("shop")
    await client.define(entity("book", title="string"))
    for number in range(5):
        clock.advance(seconds=0.001)
        await client.create("book", {}, headers=keyed(f"old{number}"))
    clock.advance(hours=25)
    other = (await start_kernel()).client.in_app("shop")
    await other.create("book", {}, headers=keyed("new"))
    assert [row["key"] for row in await stored(client)] == ["new", "old2", "old3", "old4"]


async def test_explain_ignores_the_key(client):
    await client.define(BOOK)
    for key in ("k1", "not a key"):
        answer = await client.post("book?explain=true", {"title": "Emma"}, headers=keyed(key))
        assert (answer.status, answer.data["would"]) == (200, "create")
    assert await stored(client) == []
    first = await client.post("book", {"title": "Emma"}, headers=keyed())
    assert_new(first)
    again = await client.post("book?explain=true", {"title": "Emma"}, headers=keyed())
    assert (again.status, again.data["would"]) == (200, "reject")
    assert "Idempotency-Replayed" not in again.headers


# -- Permissions --


class _Policy:
    def __init__(self, entity, model):
        self.entity, self.model = entity, model

    def grant(self, actor):
        if actor.is_admin or self.entity.name != "book":
            return OPEN
        if Shop.read == "nothing":
            raise Forbidden("No permission for read on book")
        return ReadGrant(condition=self._condition(), visible=lambda record: frozenset(record) - Shop.hidden)

    def _condition(self):
        if Shop.read == "own":
            return Compare(self.entity.fields["pages"], "eq", 1)
        if Shop.read == "related":
            hop = next(hop for hop in self.model.source_hops("book") if hop.relation.name == "notes")
            note = self.model.entities["note"]
            return Related(hop, Compare(note.fields["text"], "eq", "open"))
        return None


class Shop(Plugin):
    name = "shop"
    read: ClassVar[str] = "all"
    hidden: ClassVar[frozenset] = frozenset()
    may_create: ClassVar[bool] = True

    @hookimpl
    def compile_read_policy(self, entity, model):
        return _Policy(entity, model)

    @hookimpl
    def compile_write_steps(self, entity, model):
        async def authorize(write):
            if not Shop.may_create and not write.actor.is_admin:
                raise Forbidden("No permission for create on book")

        return [Step(Stage.AUTHORIZE, "shop:permission", authorize)]


@pytest.fixture
async def clerk(start_kernel):
    Shop.read, Shop.hidden, Shop.may_create = "all", frozenset(), True
    client = await (await start_kernel([Actors, Shop])).client.app("shop")
    fields = {
        "title": "string",
        "price": "decimal",
        "weight": "float",
        "pages": "int default=1",
        "at": "date auto=create",
    }
    await client.define(entity("book", **fields), entity("note", book_id="uuid", text="string"))
    await client.relate(one_to_many("notes", "book", "note"))
    return client.as_actor(ONE)


BODY = {"title": "Emma", "weight": 1.5, "at": "1999-01-01"}


async def test_who_may_not_create_any_more_gets_no_replay(clerk):
    (await clerk.post("book", BODY, headers=keyed())).require(201)
    Shop.may_create = False
    answer = await clerk.post("book", BODY, headers=keyed())
    assert_error(answer, 403, "FORBIDDEN", "No permission for create on book")


async def test_a_field_hidden_since_is_not_shown_again(clerk):
    first = (await clerk.post("book", BODY, headers=keyed())).require(201)
    Shop.hidden = frozenset({"pages", "weight"})
    again = (await clerk.post("book", BODY, headers=keyed())).require(201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.data == {name: value for name, value in first.data.items() if name not in ("pages", "weight")}
    path = f"book/{first.data['id']}"
    assert again.headers["ETag"] == (await clerk.get(path)).headers["ETag"] != first.headers["ETag"]
    Shop.hidden = frozenset()
    assert_replayed(await clerk.post("book", BODY, headers=keyed()), first)


@pytest.mark.parametrize("read", ["nothing", "own"])
async def test_who_may_not_read_the_record_any_more_sees_the_key_alone(clerk, read):
    first = (await clerk.post("book", {**BODY, "pages": 2}, headers=keyed())).require(201)
    Shop.read = read
    again = (await clerk.post("book", {**BODY, "pages": 2}, headers=keyed())).require(201)
    assert again.data == {"id": first.data["id"]}
    assert again.headers["Idempotency-Replayed"] == "true"
    # What such a caller gets for the first time is the same.
    fresh = (await clerk.post("book", {**BODY, "pages": 2}, headers=keyed("k2"))).require(201)
    assert list(fresh.data) == list(again.data)
    assert_replayed(await clerk.post("book", {**BODY, "pages": 2}, headers=keyed("k2")), fresh)


async def test_rights_are_measured_on_the_record_as_it_was(clerk):
    Shop.read = "own"
    first = (await clerk.post("book", BODY, headers=keyed())).require(201)
    assert first.data["pages"] == 1
    admin = clerk.with_headers({"X-Test-Actor": ";admin;;platform"})
    (await admin.put(f"book/{first.data['id']}", {"pages": 2})).require(200)
    assert (await clerk.get(f"book/{first.data['id']}")).status == 404
    assert_replayed(await clerk.post("book", BODY, headers=keyed()), first)


async def test_new_rights_show_no_more_than_was_sent(clerk):
    Shop.hidden = frozenset({"pages"})
    first = (await clerk.post("book", BODY, headers=keyed())).require(201)
    Shop.hidden = frozenset()
    assert_replayed(await clerk.post("book", BODY, headers=keyed()), first)


async def test_hidden_fields_count_in_conditions(clerk):
    Shop.read, Shop.hidden = "own", frozenset({"pages"})
    first = (await clerk.post("book", BODY, headers=keyed())).require(201)
    assert "price" in first.data
    assert "pages" not in first.data
    assert_replayed(await clerk.post("book", BODY, headers=keyed()), first)


async def test_conditions_on_related_rows_are_asked_of_the_record_as_it_is(clerk):
    Shop.read = "related"
    body = {**BODY, "notes": [{"text": "open"}]}
    first = (await clerk.post("book", body, headers=keyed())).require(201)
    assert "pages" in first.data
    assert_replayed(await clerk.post("book", body, headers=keyed()), first)
    (note,) = (await clerk.get("note")).data
    (await clerk.put(f"note/{note['id']}", {"text": "shut"})).require(200)
    again = (await clerk.post("book", body, headers=keyed())).require(201)
    assert again.data == {"id": first.data["id"]}


async def test_a_field_that_was_undeclared_since_is_part_of_the_stored_answer(client):
    await client.define(BOOK)
    first = await client.post("book", {"title": "x", "pages": 3}, headers=keyed())
    fields = [field for field in BOOK["fields"] if field["name"] != "pages"]
    (await client.put("_admin/entities/book", {**BOOK, "fields": fields})).require(200)
    again = await client.post("book", {"title": "x", "pages": 3}, headers=keyed())
    assert again.status == 201
    assert again.data == {name: value for name, value in first.data.items() if name != "pages"}


# -- Races --


class Slow(Plugin):
    """Stands for a synchronous webhook that takes its time, and counts how often it is asked."""

    name = "slow"
    asked: ClassVar[asyncio.Semaphore]
    count: ClassVar[int]
    gate: ClassVar[asyncio.Event]

    @hookimpl
    def compile_write_steps(self, entity, model):
        async def ask(write):
            Slow.count += 1
            Slow.asked.release()
            await Slow.gate.wait()

        return [Step(Stage.BEFORE_WEBHOOKS, "slow:ask", ask, frozenset(ACTIONS))]


@pytest.fixture
async def slow(start_kernel):
    Slow.asked, Slow.count, Slow.gate = asyncio.Semaphore(0), 0, asyncio.Event()
    client = await (await start_kernel([Slow])).client.app("shop")
    await client.define(BOOK)
    return client


async def test_a_request_whose_first_is_still_running_gets_409(slow):
    first = asyncio.create_task(slow.post("book", {"title": "Emma"}, headers=keyed()))
    await Slow.asked.acquire()
    assert_error(await slow.post("book", {"title": "Emma"}, headers=keyed()), 409, "CONFLICT", RUNNING)
    assert_error(await slow.post("book", {"title": "other"}, headers=keyed()), 409, "CONFLICT", RUNNING)
    other = asyncio.create_task(slow.post("book", {"title": "other"}, headers=keyed("k2")))
    await Slow.asked.acquire()
    Slow.gate.set()
    assert_new(await first)
    assert_new(await other)
    # The outside world has judged already and is not asked again.
    assert_replayed(await slow.post("book", {"title": "Emma"}, headers=keyed()), await first)
    conflict = await slow.post("book", {"title": "third"}, headers=keyed())
    assert_error(conflict, 422, "IDEMPOTENCY_CONFLICT", OTHER_REQUEST)
    assert Slow.count == 2


async def test_a_cancelled_request_frees_its_key(slow, clock):
    app = await slow.kernel.apps.app("shop")
    now = timestamp_text(clock.now())
    body = {"title": "Emma"}
    order = WriteOrder("create", "book", body, ticket=read_ticket("k1", OPEN_HOUSE, "book", body))
    first = asyncio.create_task(perform(app, order, Call(OPEN_HOUSE, now, str(uuid4()))))
    await Slow.asked.acquire()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    Slow.gate.set()
    assert_new(await slow.post("book", body, headers=keyed()))


async def test_two_processes_that_asked_the_outside_world_make_one_record(slow, start_kernel):
    second = (await start_kernel([Slow])).client.in_app("shop")
    assert (await second.get("book")).status == 200  # knows the metadata
    posts = [asyncio.create_task(client.post("book", {"title": "E"}, headers=keyed())) for client in (slow, second)]
    for _ in posts:
        await Slow.asked.acquire()
    Slow.gate.set()
    answers = await asyncio.gather(*posts)
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body == answers[1].body
    assert sorted("Idempotency-Replayed" in answer.headers for answer in answers) == [False, True]
    assert await total(slow) == 1


async def test_metadata_that_another_process_changed_is_not_overlooked(start_kernel):
    """A process that does not know yet that there is somebody to ask finds out in time."""
    Slow.asked, Slow.count, Slow.gate = asyncio.Semaphore(0), 0, asyncio.Event()
    first = await (await start_kernel([Slow])).client.app("shop")
    second = (await start_kernel([Slow])).client.in_app("shop")
    assert (await second.get("_admin/entities")).data == []
    await first.define(BOOK)
    Slow.gate.set()
    assert_new(await second.post("book", {"title": "x"}, headers=keyed()))
    assert Slow.count == 1


@pytest.mark.parametrize("unique", [True, False])
async def test_many_parallel_requests_with_one_key_make_one_record(start_kernel, unique):
    first = await (await start_kernel()).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(entity("book", title="string unique" if unique else "string"))
    answers = await asyncio.gather(
        *((first, second)[number % 2].post("book", {"title": "Emma"}, headers=keyed()) for number in range(32))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status == 201]
    assert len({answer.body for answer in made}) == 1
    assert len([answer for answer in made if "Idempotency-Replayed" not in answer.headers]) == 1
    for answer in answers:
        if answer.status == 409:
            assert_error(answer, 409, "CONFLICT", RUNNING)
    assert await total(first) == 1
    assert_replayed(await second.post("book", {"title": "Emma"}, headers=keyed()), made[0])


async def test_many_parallel_requests_of_two_bodies_make_one_record(start_kernel):
    first = await (await start_kernel()).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(entity("book", title="string"))
    answers = await asyncio.gather(
        *((first, second)[number % 2].post("book", {"title": f"{number % 2}"}, headers=keyed()) for number in range(32))
    )
    assert {answer.status for answer in answers} <= {201, 409, 422}
    assert await total(first) == 1


async def test_many_keys_at_once_are_many_records(start_kernel):
    first = await (await start_kernel()).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(entity("book", title="string"))
    for _ in range(2):
        answers = await asyncio.gather(
            *(
                (first, second)[number % 2].post("book", {"title": f"{number}"}, headers=keyed(f"k{number}"))
                for number in range(64)
            )
        )
        assert {answer.status for answer in answers} == {201}
    assert await total(first) == 64


async def test_the_first_one_fails_and_the_second_may_try(start_kernel):
    """The claim of a request that is undone must not stand in the way of the one that waits for it."""
    first = await (await start_kernel([Veto])).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(entity("book", title="string"))
    Veto.entered, Veto.gate = asyncio.Event(), asyncio.Event()
    refused = asyncio.create_task(first.post("book", {"title": "x"}, headers=keyed()))
    await Veto.entered.wait()
    waiting = asyncio.create_task(second.post("book", {"title": "x"}, headers=keyed()))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    Veto.gate.set()
    assert_error(await refused, 403, "FORBIDDEN")
    assert_new(await waiting)
    assert await total(second) == 1


class Veto(Plugin):
    """Refuses at the last moment, and not before it is told to."""

    name = "veto"
    entered: ClassVar[asyncio.Event] = asyncio.Event()
    gate: ClassVar[asyncio.Event] = asyncio.Event()

    @hookimpl
    async def after_write(self, write):
        Veto.entered.set()
        await Veto.gate.wait()
        raise Forbidden("vetoed")


async def test_waiting_for_another_process_ends_with_409(start_kernel, database, monkeypatch):
    if database.driver == "sqlite":
        pytest.skip("writers of an embedded database queue for the lock before they look at the key")
    monkeypatch.setattr(postgres_store, "_WRITE", postgres_store._WRITE.replace("'10s'", "'300ms'"))
    first = await (await start_kernel([Veto])).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(entity("book", title="string"))
    Veto.entered, Veto.gate = asyncio.Event(), asyncio.Event()
    refused = asyncio.create_task(first.post("book", {"title": "x"}, headers=keyed()))
    await Veto.entered.wait()
    answer = await second.post("book", {"title": "x"}, headers=keyed())  # waits for the time limit of locks
    assert_error(answer, 409, "CONFLICT", RUNNING)
    Veto.gate.set()
    await refused
