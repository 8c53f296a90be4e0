import pytest

from rocket_kernel import Plugin, SystemClock, hookimpl
from rocket_kernel.actor import Actor
from rocket_kernel.testing import (
    Actors,
    Scenario,
    StepRecorder,
    entity,
    one_to_many,
    run_scenario,
    run_scenarios,
    transcript,
)
from rocket_kernel.testing.steps import StepRun
from rocket_kernel.write.stages import Stage, Step

SHOP = [
    Scenario("define", "POST", "_admin/entities", entity("book", title="string!", at="timestamp auto=create"), 201),
    Scenario("empty", "GET", "book", contains=['"data":[]', '"total":0']),
    Scenario("make", "POST", "book", {"title": "Emma"}, 201, keep={"book": "data.id"}),
    Scenario("refuse", "POST", "book", {}, 422, error="VALIDATION_FAILED", contains=["title is required"]),
    Scenario("show", "GET", "book/{book}", contains=['"id":"{book}"', "Emma"], lacks=["Persuasion"]),
    Scenario("change", "PATCH", "book/{book}", {"title": "Persuasion"}, lacks=("Emma",)),
    Scenario("list", "GET", "/api/shop/book", contains=("Persuasion",), keep={"first": "data.0.title", "all": "data"}),
    Scenario("repeat", "POST", "book", {"title": "{first} by {book}"}, 201, contains=("Persuasion by {book}",)),
    Scenario("broken", "POST", "book", content=b"{", status=400, error="INVALID_PAYLOAD"),
    Scenario("gone", "DELETE", "book/{book}", steps=()),
]


class Checks(Plugin):
    """Three steps for a book, one of which refuses."""

    name = "checks"

    @hookimpl
    def compile_write_steps(self, entity):
        if entity.name != "book":
            return []
        return [
            Step(Stage.RULES, "checks:b:second", self.second),
            Step(Stage.RULES, "checks:a:first", self.first),
            Step(Stage.OUTBOX, "checks:outbox", self.first),
        ]

    @hookimpl
    async def before_delete(self):
        pass

    async def first(self, write):
        pass

    async def second(self, write):
        if write.record["title"] == "Bad":
            write.fail("not this one")


CREATED = ("checks:a:first", "checks:b:second", "checks:outbox")


@pytest.fixture
async def checked(start_kernel):
    client = await (await start_kernel([Checks, Actors])).client.app("shop")
    await client.define(entity("author", name="string"), entity("book", title="string", author_id="uuid"))
    await client.relate(one_to_many("books", "author", "book", on_delete="cascade"))
    return client


async def test_a_table_of_scenarios(client):
    answers = await run_scenarios(client, SHOP)
    assert [answer.status for answer in answers] == [201, 200, 201, 422, 200, 200, 200, 201, 400, 200]
    assert answers[4].data["title"] == "Emma"


async def test_values_that_are_kept_keep_their_type(client):
    await client.define(entity("line", id="int", n="int", x="json"))
    kept = {}
    await run_scenario(client, Scenario("a", "POST", "line", {"n": 7}, 201, keep={"n": "data.n", "row": "data"}), kept)
    assert kept["n"] == 7
    row = {"n": "{n}", "x": ["{row}", "{n}!"]}
    answer = await run_scenario(client, Scenario("b", "POST", "line", row, 201), kept)
    assert (answer.data["n"], answer.data["x"]) == (7, [kept["row"], "7!"])


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"status": 201}, "expected the status 201"),
        ({"contains": ["Emma"]}, "the body lacks 'Emma'"),
        ({"lacks": ['"data"']}, "the body must not hold '\"data\"'"),
        ({"error": "NOT_FOUND"}, "expected the error NOT_FOUND"),
        ({"keep": {"x": "data.0.id"}}, "nothing to keep at 'data.0.id'"),
    ],
)
async def test_what_is_not_as_expected_fails(client, wrong, complaint):
    await client.define(entity("book", title="string"))
    with pytest.raises(AssertionError, match=complaint):
        await run_scenario(client, Scenario("list", "GET", "book", **wrong))


async def test_everything_wrong_is_told_at_once(client):
    scenario = Scenario("lost", "GET", "nothing", status=201, contains=("x-y",), lacks=("error",), error="CONFLICT")
    with pytest.raises(AssertionError) as failure:
        await run_scenarios(client, [scenario])
    told = str(failure.value).splitlines()
    assert told[0] == "scenario 'lost'"
    assert len(told) == 6
    assert told[-1].strip().startswith('GET nothing: 404 {"error"')


@pytest.mark.parametrize("name", ["contains", "lacks", "steps"])
def test_one_text_in_place_of_several_is_a_slip(name):
    with pytest.raises(TypeError, match=r"write \(contains,\)" if name == "contains" else "several texts"):
        Scenario("a", "GET", "b", **{name: "text"})


async def test_headers_and_callers(checked):
    clerk = Actor(id="7", email=None, roles=frozenset({"clerk"}))
    await run_scenarios(
        checked,
        [
            Scenario("clerk", "GET", "_admin/export", status=403, actor=clerk),
            Scenario("header", "GET", "_admin/export", status=403, headers={"X-Test-Actor": "7;clerk"}),
            Scenario("admin", "GET", "_admin/export"),
        ],
    )


async def test_the_steps_that_run(checked):
    author = {"name": "Jane", "books": [{"title": "Emma"}, {"title": "Persuasion"}]}
    twice = ("checks:a:first", "checks:b:second") * 2 + ("checks:outbox",) * 2
    await run_scenarios(
        checked,
        [
            Scenario("one", "POST", "book", {"title": "Emma"}, 201, steps=CREATED, keep={"book": "data.id"}),
            Scenario("refused", "POST", "book", {"title": "Bad"}, 422, steps=CREATED[:2]),
            Scenario("nested", "POST", "author", author, 201, steps=twice),
            Scenario("none", "POST", "author", {"name": "Anne"}, 201, steps=()),
            Scenario("read", "GET", "book", steps=()),
            Scenario("delete", "DELETE", "book/{book}", steps=("checks:before_delete",)),
        ],
    )


@pytest.mark.parametrize("steps", [(), CREATED[:2], CREATED[::-1], (*CREATED, "checks:more")])
async def test_a_step_too_many_or_too_few_is_noticed(checked, steps):
    with pytest.raises(AssertionError, match=r"expected the steps .* these ran: .*'checks:outbox'"):
        await run_scenario(checked, Scenario("one", "POST", "book", {"title": "Emma"}, 201, steps=steps))


async def test_the_recorder_alone(checked):
    registry = (await checked.kernel.apps.app("shop")).registry
    async with StepRecorder(checked) as recorder:
        await checked.create("book", {"title": "Emma"})
        await checked.create("book", {"title": "Emma"})
    await checked.create("book", {"title": "Emma"})
    assert recorder.names == CREATED * 2
    assert recorder.runs[0] == StepRun("checks:a:first", "rules", "book", "create")
    assert (await checked.kernel.apps.app("shop")).registry is registry


async def test_a_change_of_metadata_survives_the_recording(checked):
    async with StepRecorder(checked):
        await checked.define(entity("tag", name="string"))
    await checked.create("tag", {"name": "new"})
    assert "tag" in (await checked.kernel.apps.app("shop")).registry.compiled


async def test_steps_belong_to_an_app(running):
    with pytest.raises(ValueError, match="bound to none"):
        await run_scenario(running.client, Scenario("health", "GET", "/health", steps=()))


async def test_transcripts_of_two_runs_are_the_same(start_kernel):
    running = await start_kernel(clock=SystemClock())
    first = await transcript(await running.client.app("shop"), SHOP)
    await running.client.delete("/api/_platform/apps/shop")
    assert await transcript(await running.client.app("shop"), SHOP) == first
    shown = first.decode()
    assert "# make\nPOST book\n201\n" in shown
    assert '{"data":{"id":"<id 1>","title":"Emma","at":"<time>"}}' in shown
    assert "GET book/<id 1>\n" in shown
    assert "x-trace-id" not in shown


TRANSCRIPTS = {}


async def test_transcripts_of_two_databases_are_the_same(client, database):
    TRANSCRIPTS[database.driver] = await transcript(client, SHOP)
    assert len(set(TRANSCRIPTS.values())) == 1


async def test_a_transcript_tells_different_ids_apart(client):
    await client.define(entity("book", other="uuid"))
    make = Scenario("make", "POST", "book", {}, 201, keep={"book": "data.id"})
    same = Scenario("same", "PATCH", "book/{book}", {"other": "{book}"})
    other = Scenario("other", "PATCH", "book/{book}", {"other": "11111111-1111-4111-8111-111111111111"})
    assert b'"other":"<id 1>"' in await transcript(client, [make, same])
    assert b'"other":"<id 2>"' in await transcript(client, [make, other])
