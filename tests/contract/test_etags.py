"""ETag and If-Match: contract §5.9."""

import asyncio
from typing import ClassVar

import pytest

from rocket_kernel import Actor, Plugin, hookimpl
from rocket_kernel.errors import Forbidden
from rocket_kernel.query.access import OPEN, ReadGrant
from rocket_kernel.query.filters import Compare
from rocket_kernel.testing import Actors, assert_error, entity, many_to_many, one_to_many
from rocket_kernel.write.stages import ACTIONS, Stage, Step

BOOK = entity(
    "book", title="string!", price="decimal:2", pages="int", weight="float", more="json", at="timestamp auto=update"
)
CLERK = Actor(id="00000000-0000-4000-8000-00000000000c", email=None, roles=frozenset({"clerk"}))
CHANGED = "The record has changed since it was read"
UNKNOWN_ID = "12345678-90ab-4cde-8f01-234567890abc"


class _Policy:
    def __init__(self, entity, guarded):
        self.entity = entity
        self.guarded = guarded

    def grant(self, actor):
        if actor.is_admin or self.entity.name != "book":
            return OPEN
        if self.guarded.closed:
            raise Forbidden(f"No permission for read on {self.entity.name}")
        hidden = self.guarded.hidden
        condition = self.guarded.condition
        return ReadGrant(
            condition=None if condition is None else Compare(self.entity.fields[condition[0]], "eq", condition[1]),
            visible=lambda record: frozenset(self.entity.fields) - hidden,
        )


class Guarded(Plugin):
    """What callers who are no administrators see of books, and what they may do to them."""

    name = "guarded"
    closed: ClassVar[bool] = False
    hidden: ClassVar[frozenset[str]] = frozenset()
    condition: ClassVar[tuple | None] = None
    refused: ClassVar[frozenset[str]] = frozenset()

    @hookimpl
    def compile_read_policy(self, entity, model):
        return _Policy(entity, Guarded)

    @hookimpl
    def compile_write_steps(self, entity, model):
        async def authorize(write):
            if not write.actor.is_admin and write.action in Guarded.refused:
                raise Forbidden(f"No permission for {write.action} on {write.entity.name}")

        return [Step(Stage.AUTHORIZE, "guarded:permission", authorize, frozenset(ACTIONS))]


@pytest.fixture(autouse=True)
def open_policy():
    Guarded.closed, Guarded.hidden, Guarded.condition, Guarded.refused = False, frozenset(), None, frozenset()


@pytest.fixture
async def admin(start_kernel):
    running = await start_kernel([Actors, Guarded])
    client = await running.client.app("shop")
    await client.define(BOOK)
    return client


@pytest.fixture
def clerk(admin):
    return admin.as_actor(CLERK)


def tag_of(answer):
    (tag,) = answer.headers.getlist("ETag")
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert tag[1:-1].isalnum()
    return tag


async def test_create_update_and_get_carry_the_same_tag(client):
    await client.define(BOOK)
    made = (await client.post("book", {"title": "Emma", "price": "9.5", "more": {"b": 1, "a": [2.5]}})).require(201)
    path = f"book/{made.data['id']}"
    assert tag_of(await client.get(path)) == tag_of(made)
    assert tag_of(await client.request("HEAD", path)) == tag_of(made)
    changed = (await client.put(path, {"pages": 3, "weight": 1e22})).require(200)
    assert tag_of(changed) != tag_of(made)
    assert tag_of(await client.get(path)) == tag_of(changed)


async def test_lists_deletions_and_errors_carry_none(client):
    await client.define(BOOK)
    made = await client.create("book", {"title": "Emma"})
    answers = [
        await client.get("book"),
        await client.get(f"book/{UNKNOWN_ID}"),
        await client.post("book", {}),
        await client.delete(f"book/{made['id']}"),
    ]
    assert [answer.status for answer in answers] == [200, 404, 422, 200]
    assert ["ETag" in answer.headers for answer in answers] == [False] * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("title", "Emma "), ("price", "9.51"), ("pages", 0), ("weight", 0.1), ("more", {"a": 2}), ("more", None)],
)
async def test_every_column_counts(client, clock, name, value):
    await client.define(BOOK)
    first = {"title": "Emma", "price": "9.50", "weight": 0.5, "more": {"a": 1}}
    made = (await client.post("book", first)).require(201)
    path = f"book/{made.data['id']}"
    changed = (await client.put(path, {name: value})).require(200)
    assert tag_of(changed) != tag_of(made)
    back = (await client.put(path, {name: first.get(name)})).require(200)
    assert tag_of(back) == tag_of(made)  # equal content
    clock.advance(seconds=1)
    assert tag_of((await client.put(path, {})).require(200)) != tag_of(made)  # `at` has moved


async def test_json_values_that_only_python_takes_for_equal_are_other_content(client):
    await client.define(entity("thing", more="json"))
    thing = await client.create("thing", {"more": {"a": 1}})
    tags = []
    for more in ({"a": 1}, {"a": True}, {"a": 1.5}, [0], [False], [None]):
        changed = (await client.put(f"thing/{thing['id']}", {"more": more})).require(200)
        now = await client.get(f"thing/{thing['id']}")
        assert (now.body, tag_of(now)) == (changed.body, tag_of(changed))
        tags.append(tag_of(now))
    assert len(set(tags)) == len(tags)


async def test_a_decimal_of_other_digits_is_other_content(client):
    await client.define(entity("price", amount="decimal"))
    made = (await client.post("price", {"amount": "1.5"})).require(201)
    changed = (await client.put(f"price/{made.data['id']}", {"amount": "1.50"})).require(200)
    assert tag_of(changed) != tag_of(made)


async def test_two_rows_of_equal_columns_have_two_tags(client):
    await client.define(BOOK)
    one, other = [await client.post("book", {"title": "Emma"}) for _ in range(2)]
    assert tag_of(one) != tag_of(other)


async def test_includes_fields_and_related_rows_do_not_count(client):
    await client.define(entity("author", name="string"), entity("book", author_id="uuid", title="string"))
    await client.define(entity("tag", label="string"))
    await client.relate(one_to_many("books", "author", "book", fetch="eager"), many_to_many("tags", "book", "tag"))
    author = (await client.post("author", {"name": "Jane", "books": [{"title": "Emma"}]})).require(201)
    path = f"author/{author.data['id']}"
    tags = [tag_of(author)]
    for query in ("", "?include=books", "?include=books.tags", "?fields=name", "?fields=id&include=books"):
        tags.append(tag_of((await client.get(path + query)).require(200)))
    (book,) = (await client.get(path)).data["books"]
    await client.put(f"book/{book['id']}", {"title": "Persuasion", "tags": [{"label": "new"}]})
    tags.append(tag_of(await client.get(path)))
    (await client.put(path, {"books": [{"title": "Lady Susan"}]})).require(200)
    tags.append(tag_of(await client.get(path)))
    assert len(set(tags)) == 1


async def test_soft_deleting_entities_have_tags_that_match(client):
    await client.define(entity("post", {"soft_delete": True}, text="string"))
    made = (await client.post("post", {"text": "x"})).require(201)
    assert made.data["deleted_at"] is None
    path = f"post/{made.data['id']}"
    assert tag_of(await client.get(path)) == tag_of(made)
    assert (await client.put(path, {"text": "y"}, headers={"If-Match": tag_of(made)})).status == 200
    now = tag_of(await client.get(path))
    assert (await client.delete(path, headers={"If-Match": now})).status == 200


async def test_a_slug_names_the_same_row(client):
    await client.define(
        entity("post", {"slug": {"field": "slug", "source": "title"}}, title="string", slug="string unique")
    )
    made = (await client.post("post", {"title": "One Two"})).require(201)
    assert tag_of(await client.get("post/one-two")) == tag_of(made)
    assert (await client.patch("post/one-two", {"title": "x"}, headers={"If-Match": tag_of(made)})).status == 200
    assert (await client.patch("post/one-two", {"title": "y"}, headers={"If-Match": tag_of(made)})).status == 412


FORMS = {
    "{tag}": 200,
    "W/{tag}": 200,
    '"other", {tag}': 200,
    '"a,b",W/"c" ,  W/{tag}  ': 200,
    "*": 200,
    " * ": 200,
    '"other"': 412,
    'W/"other"': 412,
    "": 412,
    ",": 412,
    "{bare}": 412,
    '"*"': 412,
    '"a,*,b"': 412,
    "w/{tag}": 412,
    "W/W/{tag}": 412,
}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_forms_of_if_match(client, method):
    await client.define(BOOK)
    body = {} if method == "DELETE" else {"json": {"title": "New"}}
    for form, status in FORMS.items():
        made = (await client.post("book", {"title": "Emma"})).require(201)
        tag, path = tag_of(made), f"book/{made.data['id']}"
        headers = {"If-Match": form.format(tag=tag, bare=tag.strip('"'))}
        answer = await client.request(method, path, headers=headers, **body)
        assert answer.status == status, (form, answer)
        now = await client.get(path)
        if status == 412:
            assert_error(answer, 412, "PRECONDITION_FAILED", CHANGED, [])
            assert now.data == made.data
        else:
            assert now.status == 404 if method == "DELETE" else now.data["title"] == "New"


async def test_other_methods_and_lists_of_conditions_are_not_bound(client):
    await client.define(BOOK)
    made = (await client.post("book", {"title": "Emma"}, headers={"If-Match": '"x"'})).require(201)
    assert (await client.get(f"book/{made.data['id']}", headers={"If-Match": '"x"'})).status == 200
    assert (await client.get(f"book/{made.data['id']}", headers={"If-None-Match": tag_of(made)})).status == 200


async def test_it_comes_after_404_and_403_and_before_the_body_is_looked_at(admin, clerk):
    made = (await admin.post("book", {"title": "Emma"})).require(201)
    path, stale = f"book/{made.data['id']}", {"If-Match": '"stale"'}
    bad = {"no": 1, "pages": "many"}
    assert_error(await admin.put(f"book/{UNKNOWN_ID}", bad, headers=stale), 404, "NOT_FOUND")
    assert_error(await admin.put("cook/1", bad, headers=stale), 404, "UNKNOWN_ENTITY")
    assert_error(await admin.put(path, bad, headers=stale), 412, "PRECONDITION_FAILED")
    assert_error(
        await admin.put(path, content=b"{", headers={**stale, "Content-Type": "application/json"}),
        400,
        "INVALID_PAYLOAD",
    )
    assert_error(await admin.put(path, bad, headers={"If-Match": tag_of(made)}), 422, "VALIDATION_FAILED")
    Guarded.refused = frozenset({"update", "delete"})
    assert_error(await clerk.put(path, bad, headers=stale), 403, "FORBIDDEN")
    assert_error(await clerk.delete(path, headers=stale), 403, "FORBIDDEN")


async def test_it_comes_before_the_delete_is_planned(client):
    await client.define(entity("author", name="string"), entity("book", author_id="uuid"))
    await client.relate(one_to_many("books", "author", "book", on_delete="restrict"))
    author = (await client.post("author", {"books": [{}]})).require(201)
    path = f"author/{author.data['id']}"
    assert_error(await client.delete(path, headers={"If-Match": '"x"'}), 412, "PRECONDITION_FAILED")
    assert_error(await client.delete(path, headers={"If-Match": tag_of(author)}), 409, "CONFLICT")


async def test_hidden_fields_do_not_show_in_the_tag(admin, clerk):
    Guarded.hidden = frozenset({"price"})
    made = (await admin.post("book", {"title": "Emma", "price": 1})).require(201)
    path = f"book/{made.data['id']}"
    seen = await clerk.get(path)
    assert "price" not in seen.data
    assert tag_of(seen) != tag_of(made)
    (await admin.put(path, {"price": 2})).require(200)
    assert tag_of(await clerk.get(path)) == tag_of(seen)
    assert tag_of(await admin.get(path)) != tag_of(made)
    for query in ("?fields=title", "?fields=id"):
        assert tag_of(await clerk.get(path + query)) == tag_of(seen)
    changed = (await clerk.put(path, {"title": "New"}, headers={"If-Match": tag_of(seen)})).require(200)
    assert tag_of(await clerk.get(path)) == tag_of(changed)
    assert (await clerk.put(path, {"title": "Newer"}, headers={"If-Match": tag_of(seen)})).status == 412
    # The administrator's tag is about other columns.
    assert (await clerk.put(path, {"pages": 1}, headers={"If-Match": tag_of(await admin.get(path))})).status == 412


@pytest.mark.parametrize("closed", [True, False])
async def test_callers_who_may_not_read_the_row_learn_only_that_it_is_there(admin, clerk, closed):
    Guarded.closed, Guarded.condition = closed, ("title", "Mine")
    made = (await clerk.post("book", {"title": "Emma", "pages": 1})).require(201)
    assert made.data == {"id": made.data["id"]}
    path = f"book/{made.data['id']}"
    if not closed:
        # Of an entity that the caller may read, a row it may not read is not there.
        for headers in ({}, {"If-Match": tag_of(made)}, {"If-Match": '"x"'}):
            answer = await clerk.put(path, {"pages": 2}, headers=headers)
            assert_error(answer, 404, "NOT_FOUND", f"book with id {made.data['id']} not found", [])
        return
    (await admin.put(path, {"price": "2.00"})).require(200)
    again = (await clerk.put(path, {"pages": 2}, headers={"If-Match": tag_of(made)})).require(200)
    assert tag_of(again) == tag_of(made)
    assert tag_of(await admin.get(path)) != tag_of(made)
    assert (await clerk.put(path, {"pages": 3}, headers={"If-Match": '"x"'})).status == 412


class Judge(Plugin):
    """Stands for a synchronous webhook; while it is asked, somebody else may change the row."""

    name = "judge"
    meanwhile: ClassVar[list] = []

    @hookimpl
    def compile_write_steps(self, entity, model):
        async def ask(write):
            while Judge.meanwhile:
                await Judge.meanwhile.pop()()

        return [Step(Stage.BEFORE_WEBHOOKS, "judge:ask", ask, frozenset(ACTIONS))]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_it_must_hold_again_when_the_outside_world_has_judged(start_kernel, method):
    client = await (await start_kernel([Judge])).client.app("shop")
    other = (await start_kernel()).client.in_app("shop")
    await client.define(BOOK)
    made = (await client.post("book", {"title": "Emma"})).require(201)
    path = f"book/{made.data['id']}"
    body = {} if method == "DELETE" else {"json": {"title": "Mine"}}
    Judge.meanwhile = [lambda: other.put(path, {"title": "Theirs"})]
    answer = await client.request(method, path, headers={"If-Match": tag_of(made)}, **body)
    assert_error(answer, 412, "PRECONDITION_FAILED", CHANGED)
    now = await client.get(path)
    assert now.data["title"] == "Theirs"
    assert (await client.request(method, path, headers={"If-Match": tag_of(now)}, **body)).status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_of_many_writers_with_one_tag_exactly_one_succeeds(start_kernel, method):
    first = await (await start_kernel()).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(BOOK)
    made = (await first.post("book", {"title": "Emma"})).require(201)
    path, headers = f"book/{made.data['id']}", {"If-Match": tag_of(made)}
    body = [{} if method == "DELETE" else {"json": {"title": f"By {number}"}} for number in range(32)]
    answers = await asyncio.gather(
        *((first, second)[number % 2].request(method, path, headers=headers, **body[number]) for number in range(32))
    )
    lost = 412 if method == "PUT" else 404
    assert sorted(answer.status for answer in answers) == [200] + [lost] * 31
    if method == "PUT":
        (won,) = [answer for answer in answers if answer.status == 200]
        now = await second.get(path)
        assert (now.data, tag_of(now)) == (won.data, tag_of(won))


async def test_a_chain_of_writers_who_read_first_loses_no_update(start_kernel):
    first = await (await start_kernel()).client.app("shop")
    second = (await start_kernel()).client.in_app("shop")
    await first.define(BOOK)
    path = f"book/{(await first.create('book', {'title': 'Emma', 'pages': 0}))['id']}"

    async def add_one(client):
        while True:
            seen = await client.get(path)
            answer = await client.put(path, {"pages": seen.data["pages"] + 1}, headers={"If-Match": tag_of(seen)})
            if answer.status == 200:
                return
            assert_error(answer, 412, "PRECONDITION_FAILED")

    await asyncio.gather(*(add_one((first, second)[number % 2]) for number in range(12)))
    assert (await first.get(path)).data["pages"] == 12


async def test_both_databases_give_the_same_tag(client):
    await client.define(entity("thing", id="int", text="string", d="decimal:2", f="float", b="boolean", j="json"))
    body = {"text": "ä\u2028", "d": 5, "f": 1e300, "b": True, "j": {"z": [1, 2.5, None], "a": "x"}}
    made = (await client.post("thing", body)).require(201)
    assert tag_of(made) == tag_of(await client.get("thing/1")) == '"c59539b2d8b91466ae38d947e1fe1d57"'
