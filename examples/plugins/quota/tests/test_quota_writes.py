"""Who may write how much, and what counts."""

import pytest

from rocket_kernel import Actor, Plugin, Stage, Step, hookimpl
from rocket_kernel.testing import Scenario, assert_error, transcript

SCENARIOS = [
    Scenario("make", "POST", "order", {"title": "a"}, status=201, keep={"id": "data.id"}),
    Scenario("change", "PUT", "order/{id}", {"title": "b"}),
    Scenario("delete", "DELETE", "order/{id}"),
    Scenario("enough", "POST", "order", {"title": "c"}, status=429, error="QUOTA_EXCEEDED"),
    Scenario("use", "GET", "_quota", contains=['"allowed":3,"used":3,"left":0']),
]


def actor(id, *roles, **more):
    return Actor(id=id, email=f"{id}@x.example", roles=frozenset(roles), **more)


async def created(client, count, prefix="t"):
    """Statuses of so many creates."""
    return [(await client.post("order", {"title": f"{prefix}{number}"})).status for number in range(count)]


async def left(client):
    return (await client.get("_quota")).data["left"]


async def test_a_role_has_so_many_and_no_more(client, clerk, clock):
    assert await created(clerk, 3) == [201] * 3
    clock.advance(seconds=20)
    refused = await clerk.post("order", {"title": "x"})
    assert_error(refused, 429, "QUOTA_EXCEEDED", "Write quota used up")
    # The clock began 5.678 s into the window and stands at 25.678 s.
    assert refused.headers["Retry-After"] == "35"
    assert (await clerk.get("order")).meta["total"] == 3
    clock.advance(seconds=34)
    assert (await clerk.post("order", {"title": "x"})).headers["Retry-After"] == "1"
    clock.advance(seconds=1)
    assert await created(clerk, 4, "y") == [201, 201, 201, 429]


async def test_everybody_has_a_quota_of_its_own(client, clerk, start):
    assert await created(clerk, 4) == [201, 201, 201, 429]
    assert await created(client.as_actor(actor("d", "clerk")), 4, "d") == [201, 201, 201, 429]
    platform = client.as_actor(actor("c", "clerk", platform=True))
    assert await created(platform, 4, "p") == [201, 201, 201, 429]
    anonymous = client.as_actor(Actor(id=None, email=None, roles=frozenset({"clerk"})))
    assert await created(anonymous, 4, "n") == [201, 201, 201, 429]


async def test_of_several_roles_the_largest_counts(client):
    both = client.as_actor(actor("b", "clerk", "lead", "guest", "other"))
    assert await created(both, 6) == [201] * 5 + [429]
    assert await created(client.as_actor(actor("g", "guest")), 1, "g") == [429]


async def test_who_has_none_of_the_roles(start):
    client = await start(others=1)
    assert await created(client.as_actor(actor("o", "other")), 2, "o") == [201, 429]
    assert await created(client, 7) == [201] * 7, "administrators have no quota"
    assert (await client.get("_quota")).data == {"allowed": None, "used": None, "left": None, "ends_at": None}


async def test_administrators_have_one_when_named(start):
    client = await start(roles={"admin": 1})
    assert await created(client, 2) == [201, 429]
    assert await created(client.as_actor(actor("o", "other")), 5, "o") == [201] * 5


async def test_a_nested_write_costs_each_of_its_records(client, clerk):
    order = {"title": "a", "lines": [{"n": 1}, {"n": 2}, {"n": 3}]}
    refused = await clerk.post("order", order)
    assert_error(refused, 429, "QUOTA_EXCEEDED")
    assert (await left(clerk), (await client.get("order")).meta["total"]) == (3, 0)
    made = await clerk.create("order", {**order, "lines": order["lines"][:1]})
    assert await left(clerk) == 1
    assert (await clerk.delete(f"order/{made['id']}")).status == 429, "with its line these are two"
    assert (await client.get("line")).meta["total"] == 1


async def test_a_write_that_fails_costs_nothing(clerk):
    await clerk.create("order", {"title": "a"})
    for attempt in range(5):
        assert (await clerk.post("order", {"title": "a"})).status == 409
        assert (await clerk.post("order", {"title": None})).status == 422
        assert (await clerk.put("order/7", {"title": str(attempt)})).status == 404
        explained = await clerk.post("order?explain=true", {"title": f"e{attempt}"})
        assert explained.data["would"] == "create"
    assert await left(clerk) == 2
    key = {"Idempotency-Key": "k"}
    for _ in range(5):
        assert (await clerk.post("order", {"title": "b"}, headers=key)).status == 201
    assert await left(clerk) == 1


async def test_the_engine_pays_nothing(start):
    class Twin(Plugin):
        name = "twin"
        version = "1.0"

        @hookimpl
        def compile_write_steps(self, entity):
            return [Step(Stage.AFTER_WRITE, "twin:twin", self.double, frozenset({"create"}))]

        async def double(self, write):
            if write.run.cause is None:
                await write.run.create("order", {"title": f"{write.record['title']} II"})

    client = await start(Twin)
    clerk = client.as_actor(actor("c", "clerk"))
    assert await created(clerk, 4) == [201, 201, 201, 429]
    assert (await client.get("order")).meta["total"] == 6


async def test_before_the_outside_world_is_asked(start):
    class Judge(Plugin):
        name = "judge"
        version = "1.0"
        asked: list[str] = []  # noqa: RUF012  # one for all instances, so that the test can look

        @hookimpl
        def compile_write_steps(self, entity):
            return [Step(Stage.BEFORE_WEBHOOKS, "judge:ask", self.ask)]

        async def ask(self, write):
            self.asked.append(write.record["title"])

    Judge.asked.clear()
    client = await start(Judge)
    clerk = client.as_actor(actor("c", "clerk"))
    assert await created(clerk, 5) == [201, 201, 201, 429, 429]
    assert Judge.asked == ["t0", "t1", "t2"], "it is not asked about what could not be written anyway"


async def test_showing_and_resetting(client, clerk, clock):
    await created(clerk, 2)
    await created(client.as_actor(actor("b", "lead", platform=True)), 1, "b")
    times = {"began_at": "2026-01-02T03:04:00.000Z", "ends_at": "2026-01-02T03:05:00.000Z"}
    listed = (await client.get("_admin/quota")).data
    assert listed == [
        {"caller": "c", "email": "c@x.example", **times, "used": 2, "allowed": 3, "left": 1},
        {"caller": "platform:b", "email": "b@x.example", **times, "used": 1, "allowed": 5, "left": 4},
    ]
    assert (await clerk.get("_quota")).data == {"allowed": 3, "used": 2, "left": 1, "ends_at": times["ends_at"]}
    reset = await client.delete("_admin/quota/c")
    assert reset.data == {"caller": "c", "reset": True}
    assert await left(clerk) == 3
    assert_error(await client.delete("_admin/quota/c"), 404, "NOT_FOUND", "Quota use not found: c")
    assert (await client.delete("_admin/quota/platform:b")).status == 200
    await created(clerk, 1, "z")
    clock.advance(minutes=2)
    assert (await client.get("_admin/quota")).data == []
    assert await left(clerk) == 3


async def test_only_administrators_see_the_use_of_others(client, clerk):
    for method, path in (("GET", "_admin/quota"), ("DELETE", "_admin/quota/c")):
        assert_error(await clerk.request(method, path), 403, "FORBIDDEN", "Admin access required")
    for caller in ("%00", "'; DROP TABLE _quota_use --", "x" * 5000, ".."):
        assert (await client.delete(f"_admin/quota/{caller}")).status == 404


async def test_a_change_of_the_limit_counts_at_once(start_kernel, client, clerk):
    await created(clerk, 3)
    promoted = client.as_actor(actor("c", "lead"))
    assert await created(promoted, 3, "p") == [201, 201, 429]
    assert (await clerk.get("_quota")).data["left"] == 0


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("quota_limit(user)", 5),
        ("quota_limit(user) > len(record.lines)", True),
        ("quota_limit({roles: ['Clerk', 'nobody']})", 3),
        ("quota_limit({roles: ['nobody']})", None),
        ("quota_limit(null) ?? 100", 100),
    ],
)
async def test_limits_in_expressions(client, expression, value):
    user = {"id": "l", "email": None, "roles": ["lead", "clerk"]}
    body = {"expression": expression, "record": {"lines": [1, 2]}, "user": user}
    assert (await client.post("_admin/expressions/test", body)).require(200).data["value"] == value


@pytest.mark.parametrize("argument", ["7", "'lead'", "{roles: 'lead'}", "{}", "[]"])
async def test_limits_of_nonsense(client, argument):
    refused = await client.post("_admin/expressions/test", {"expression": f"quota_limit({argument})"})
    assert_error(refused, 422, "VALIDATION_FAILED", "quota_limit: a user with roles expected at line 1, column 1")


seen = set()


async def test_both_databases_answer_alike(clerk):
    seen.add(await transcript(clerk, SCENARIOS))
    assert len(seen) == 1
