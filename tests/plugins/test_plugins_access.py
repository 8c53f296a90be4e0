"""Who calls, and what a caller may read: the hooks `authenticate` and `compile_read_policy`."""

import pytest

from rocket_kernel import Actor, Forbidden, Plugin, ReadGrant, Unauthorized, hookimpl
from rocket_kernel.query.filters import Compare, Related
from rocket_kernel.testing import Actors, assert_error, entity, many_to_many, one_to_many, one_to_one

SOME_ID = "12345678-90ab-4cde-8f01-234567890abc"
STAFF = Actor(id=None, email="ann", roles=frozenset({"staff"}))
HIDDEN = {"type": "boolean", "default": False}

TEAM = entity("team", name="string!", hidden=HIDDEN)
PERSON = entity("person", name="string!", salary="int", team_id="uuid", boss_id="uuid", hidden=HIDDEN)
TAG = entity("tag", {"soft_delete": True}, name="string!", hidden=HIDDEN)
VAULT = entity("vault", name="string", team_id="uuid", person_id="uuid")
DESK = entity("desk", name="string", person_id="uuid", hidden=HIDDEN)
RELATIONS = (
    one_to_many("members", "team", "person"),
    one_to_many("reports", "person", "person", "boss_id"),
    many_to_many("tags", "person", "tag", "person_tags"),
    one_to_many("vaults", "team", "vault", fetch="eager"),
    one_to_one("desk_of", "person", "desk", fetch="eager"),
)


class Policy:
    """Staff sees no hidden rows, nothing of vaults, and its own salary only."""

    def __init__(self, entity):
        self.entity = entity

    def grant(self, actor):
        if actor.is_admin:
            return ReadGrant()
        if self.entity.name == "vault":
            raise Forbidden("No permission for read on vault")
        fields = frozenset(self.entity.fields)
        paid = "salary" in fields
        return ReadGrant(
            condition=Compare(self.entity.fields["hidden"], "eq", False),
            unnameable=frozenset({"salary"}) if paid else frozenset(),
            visible=(lambda row: fields if row["name"] == actor.email else fields - {"salary", "id"}) if paid else None,
        )


class Policies(Plugin):
    name = "policies"

    @hookimpl
    def compile_read_policy(self, entity, model):
        return Policy(entity)


def closed():
    return (403, "FORBIDDEN", "No permission for read on vault", [])


def unnameable():
    return (403, "FORBIDDEN", "Permission denied for read on person.salary", [])


class World:
    """Two teams, one of them hidden; four people, one of them hidden in each; what hangs on them."""

    def __init__(self, client):
        self.admin = client
        self.staff = client.as_actor(STAFF)

    async def fill(self):
        await self.admin.define(TEAM, PERSON, TAG, VAULT, DESK)
        await self.admin.relate(*RELATIONS)
        people = [{"name": "ann", "salary": 1, "tags": [{"name": "open"}, {"name": "veiled", "hidden": True}]}]
        people += [
            {"name": "bob", "salary": 2},
            {"name": "ghost", "hidden": True, "salary": 3, "desk_of": {"name": "g"}},
        ]
        team = {"name": "seen", "members": people, "vaults": [{"name": "v"}]}
        self.ids = {"seen": (await self.admin.create("team", team))["id"]}
        lost = {"name": "lost", "hidden": True, "members": [{"name": "cleo", "salary": 4}]}
        self.ids["unseen"] = (await self.admin.create("team", lost))["id"]
        for name in ("person", "tag"):
            self.ids |= {row["name"]: row["id"] for row in (await self.admin.get(name)).data}
        for name, boss in (("bob", "ghost"), ("cleo", "bob"), ("ghost", "ann")):
            await self.admin.put(f"person/{self.ids[name]}", {"boss_id": self.ids[boss]})
        return self

    async def names(self, query):
        answer = (await self.staff.get(query)).require(200)
        assert answer.meta["total"] == len(answer.data)
        return sorted(row["name"] for row in answer.data)


@pytest.fixture
async def world(start_kernel):
    client = await (await start_kernel([Actors, Policies])).client.app("shop")
    return await World(client).fill()


async def test_rows_that_are_hidden_do_not_exist(world):
    assert await world.names("person") == ["ann", "bob", "cleo"]
    assert await world.names("team?per_page=1") == ["seen"]
    assert (await world.admin.get("person")).meta["total"] == 4
    for query in (
        "person?filter[hidden]=true",
        f"person?filter[id]={world.ids['ghost']}",
        "person?filter[name.in]=ghost",
    ):
        assert await world.names(query) == []
    hidden, missing = [await world.staff.get(f"person/{id}") for id in (world.ids["ghost"], SOME_ID)]
    assert_error(hidden, 404, "NOT_FOUND", f"person with id {world.ids['ghost']} not found", [])
    assert hidden.text.replace(world.ids["ghost"], SOME_ID) == missing.text


async def test_an_entity_that_is_closed(world):
    for path in (
        "vault",
        f"vault/{SOME_ID}",
        "vault?filter[nonsense]=1",
        "vault?sort=nonsense",
        "vault?include=nonsense",
    ):
        assert_error(await world.staff.get(path), *closed())
    for query in ("filter[vaults.name]=v", "sort=vaults.name", "include=vaults", "filter[vault.nonsense]=1"):
        answer = await world.staff.get(f"team?{query}")
        if query.startswith("sort"):
            # A path through a to-many relation is no path, whoever asks.
            assert_error(answer, 400, "UNKNOWN_FIELD", "Unknown sort field: vaults.name", [])
        else:
            assert_error(answer, *closed())
    assert_error(await world.staff.get(f"person/{world.ids['ann']}?include=team.vaults"), *closed())
    # What nobody asked for is left out silently.
    (team,) = (await world.staff.get("team")).data
    assert set(team) == {"id", "name", "hidden"}
    assert "vaults" in (await world.admin.get(f"team/{world.ids['seen']}")).data


async def test_fields_that_are_hidden(world):
    shown = {row["name"]: row for row in (await world.staff.get("person")).data}
    assert shown["ann"]["salary"] == 1
    # The key always shows, even where a policy forgets it.
    assert set(shown["bob"]) == set(shown["ann"]) - {"salary"}
    assert shown["bob"]["id"] == world.ids["bob"]
    assert "salary" not in (await world.staff.get(f"person/{world.ids['bob']}")).data
    (team,) = (await world.staff.get("team?include=members.reports")).data
    assert [
        [name for name, value in row.items() if name == "salary"] for row in team["members"] if row["name"] == "bob"
    ] == [[]]
    for query in ("filter[salary]=1", "filter[salary.gt]=1", "sort=-salary", "fields=name,salary"):
        assert_error(await world.staff.get(f"person?{query}"), *unnameable())
    for query in ("filter[members.salary]=1", "filter[members.reports.salary.lt]=9"):
        assert_error(await world.staff.get(f"team?{query}"), *unnameable())
    assert_error(await world.staff.get("person?sort=boss.salary"), *unnameable())
    assert_error(await world.staff.get(f"person/{world.ids['ann']}?fields=salary"), *unnameable())


async def test_filters_and_sorts_do_not_see_through(world):
    for query, found in (
        ("team?filter[members.name]=bob", ["seen"]),
        ("team?filter[members.name]=ghost", []),
        ("team?filter[members.boss.name]=ann", []),
        ("team?filter[members.tags.name]=open", ["seen"]),
        ("team?filter[members.tags.name]=veiled", []),
        ("person?filter[team.name]=seen", ["ann", "bob"]),
        ("person?filter[team.name]=lost", []),
        ("person?filter[boss.boss.name]=ghost", []),
        ("tag?filter[person.team.name]=seen", ["open"]),
    ):
        assert await world.names(query) == found, query
    ordered = [row["name"] for row in (await world.staff.get("person?sort=-team.name,name&fields=name")).data]
    # Cleo's team is hidden and so counts as null, which is first when descending.
    assert ordered == ["cleo", "ann", "bob"]
    ordered = [row["name"] for row in (await world.staff.get("person?sort=boss.name,name")).data]
    assert ordered == ["cleo", "ann", "bob"]


async def test_includes_hold_nothing_hidden(world):
    rows = {row["name"]: row for row in (await world.staff.get("person?include=team,boss.boss,reports.tags,tags")).data}
    assert (rows["bob"]["boss"], rows["cleo"]["team"], rows["ann"]["reports"]) == (None, None, [])
    assert rows["cleo"]["boss"] | {"id": 1} == {"id": 1, "name": "bob", "team_id": world.ids["seen"], "hidden": False,
        "boss_id": world.ids["ghost"], "boss": None}  # fmt: skip
    assert [tag["name"] for tag in rows["ann"]["tags"]] == ["open"]
    assert [report["name"] for report in rows["bob"]["reports"]] == ["cleo"]
    (team,) = (await world.staff.get("team?include=members.tags")).data
    assert sorted(member["name"] for member in team["members"]) == ["ann", "bob"]
    assert [[tag["name"] for tag in member["tags"]] for member in team["members"] if member["name"] == "ann"] == [
        ["open"]
    ]
    (desk,) = (await world.staff.get("desk?include=person")).data
    assert desk["person"] is None


async def test_nested_writes_leave_hidden_rows_alone(world):
    seen = f"team/{world.ids['seen']}"
    for id in (world.ids["ghost"], SOME_ID):
        detail = {"field": "members[0].id", "rule": "not_found", "message": f"person with id {id} not found"}
        for item in ({"id": id, "name": "caught"}, {"id": id, "_delete": True}):
            answer = await world.staff.put(seen, {"members": [item]})
            assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    replaced = {"members": {"_write_mode": "replace", "data": [{"id": world.ids["ann"], "name": "ann"}]}}
    (await world.staff.put(seen, replaced)).require(200)
    left = (await world.admin.get(f"{seen}?include=members")).data["members"]
    assert {row["name"]: row["salary"] for row in left} == {"ann": 1, "ghost": 3}
    # Of an entity that is closed there are no children at all.
    (await world.staff.put(seen, {"vaults": {"_write_mode": "replace", "data": [{"name": "w"}]}})).require(200)
    vaults = (await world.admin.get(f"{seen}?include=vaults")).data["vaults"]
    assert sorted(row["name"] for row in vaults) == ["v", "w"]
    # The one place of a one_to_one relation may be taken by a row that does not exist for the caller.
    await world.admin.put(f"person/{world.ids['ann']}", {"desk_of": {"name": "a", "hidden": True}})
    taken = await world.staff.put(f"person/{world.ids['ann']}", {"desk_of": {"name": "mine"}})
    assert_error(taken, 409, "CONFLICT", "A record with this value already exists")


async def test_links_to_hidden_targets_stay_and_are_not_made(world):
    ann = f"person/{world.ids['ann']}"
    for id in (world.ids["veiled"], SOME_ID):
        detail = {"field": "tags[0].id", "rule": "not_found", "message": f"tag with id {id} not found"}
        for item in (id, {"id": id, "_delete": True}):
            answer = await world.staff.put(ann, {"tags": [item]})
            assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    (await world.staff.put(ann, {"tags": {"_write_mode": "replace", "data": [{"name": "new"}]}})).require(200)
    tags = (await world.admin.get(f"{ann}?include=tags")).data["tags"]
    assert sorted(tag["name"] for tag in tags) == ["new", "veiled"]


async def test_counts_of_a_restriction_tell_what_may_be_read(world):
    for name in ("members", "vaults", "desk_of"):
        definition = next(relation for relation in RELATIONS if relation["name"] == name)
        await world.admin.put(f"_admin/relations/{name}", {**definition, "on_delete": "restrict"})
    seen, ghost = world.ids["seen"], world.ids["ghost"]
    for client, path, message in (
        (world.admin, f"team/{seen}", "Cannot delete: 3 related person records exist"),
        (world.staff, f"team/{seen}", "Cannot delete: 2 related person records exist"),
        (world.admin, f"person/{ghost}", "Cannot delete: 1 related desk records exist"),
    ):
        assert_error(await client.delete(path), 409, "CONFLICT", message, [])
    for name in ("ann", "bob"):
        (await world.admin.put(f"person/{world.ids[name]}", {"team_id": None})).require(200)
    unseen = "Cannot delete: related person records exist"
    assert_error(await world.staff.delete(f"team/{seen}"), 409, "CONFLICT", unseen, [])
    (await world.admin.put(f"person/{ghost}", {"team_id": None})).require(200)
    related = "Cannot delete: related vault records exist"
    assert_error(await world.staff.delete(f"team/{seen}"), 409, "CONFLICT", related, [])


async def test_on_delete_acts_with_the_rights_of_the_engine(world):
    for name, policy in (("members", "cascade"), ("vaults", "set_null")):
        definition = next(relation for relation in RELATIONS if relation["name"] == name)
        await world.admin.put(f"_admin/relations/{name}", {**definition, "on_delete": policy})
    answer = (await world.staff.delete(f"team/{world.ids['seen']}")).require(200)
    assert answer.data == {"id": world.ids["seen"]}
    assert [row["name"] for row in (await world.admin.get("person")).data] == ["cleo"]
    assert [row["team_id"] for row in (await world.admin.get("vault")).data] == [None]


async def test_answers_of_writes_show_what_may_be_read(world):
    visible = await world.staff.create("person", {"name": "dora", "salary": 5})
    assert set(visible) == {"id", "name", "team_id", "boss_id", "hidden"}
    own = (await world.staff.put(f"person/{visible['id']}", {"name": "ann"})).require(200).data
    assert own["salary"] == 5
    # Of a row that is out of sight afterwards: its key.
    gone = (await world.staff.put(f"person/{visible['id']}", {"hidden": True, "boss_id": None})).require(200).data
    assert gone == {"id": visible["id"]}
    made = await world.staff.create("vault", {"name": "mine"})
    assert made == {"id": made["id"]}
    tag = await world.staff.create("tag", {"name": "t", "hidden": True})
    assert tag == {"id": tag["id"]}
    assert list(await world.staff.create("tag", {"name": "u"})) == ["id", "name", "hidden", "deleted_at"]


class Neighbours(Plugin):
    """Only people of a team that can be seen, and no names of theirs in queries."""

    name = "neighbours"

    @hookimpl
    def compile_read_policy(self, entity, model):
        if entity.name != "person":
            return None
        hop = model.hop("person", "team") if "members" in model.relations else None

        class Narrow:
            def grant(self, actor):
                if actor.is_admin or hop is None:
                    return ReadGrant()
                named = Compare(model.entities["team"].fields["name"], "neq", "")
                fields = frozenset({"name", "salary"})
                return ReadGrant(Related(hop, named), frozenset({"boss_id"}), lambda row: fields)

        return Narrow()


async def test_the_policies_of_several_plugins_hold_together(start_kernel):
    client = await (await start_kernel([Actors, Neighbours, Policies])).client.app("shop")
    world = await World(client).fill()
    assert await world.names("person") == ["ann", "bob"]
    shown = {row["name"]: set(row) for row in (await world.staff.get("person")).data}
    assert shown == {"ann": {"id", "name", "salary", "desk_of"}, "bob": {"id", "name", "desk_of"}}
    for field in ("salary", "boss_id"):
        refused = await world.staff.get(f"person?sort={field}")
        assert_error(refused, 403, "FORBIDDEN", f"Permission denied for read on person.{field}", [])
    # An include walks a field that must be nameable.
    assert (await world.staff.get("person?include=reports")).status == 403
    assert (await world.staff.get("person?include=team")).status == 200
    alone = await world.staff.create("person", {"name": "dora", "salary": 1})
    assert alone == {"id": alone["id"]}
    placed = await world.staff.create("person", {"name": "emil", "salary": 1, "team_id": world.ids["seen"]})
    assert placed == {"id": placed["id"], "name": "emil"}


def guard(name, **members):
    """Knows callers by the header X-Guard: `{name} {role}`."""

    @hookimpl
    async def authenticate(self, request):
        known, _, role = request.headers.get("x-guard", "").partition(" ")
        if known == "broken":
            raise ValueError("the text of a defect")
        if known == "refused":
            raise Unauthorized(f"refused by {name}")
        return Actor(id=None, email=name, roles=frozenset({role})) if known in (name, "any") else None

    return type("Guard", (Plugin,), {"name": name, "authenticate": authenticate, **members})


async def test_who_calls(start_kernel):
    seen = []

    @hookimpl
    async def on_request(self, request):
        seen.append(request.actor.email)

    watcher = type("Watcher", (Plugin,), {"name": "watcher", "on_request": on_request})
    open_house = await start_kernel()
    await (await open_house.client.app("shop")).define(TEAM)
    client = (await start_kernel([guard("b"), guard("a", after=("b",)), watcher])).client.in_app("shop")
    missing = (401, "UNAUTHORIZED", "Missing auth token", [])
    for method, path in (("GET", "team"), ("POST", "team"), ("GET", "_admin/entities"), ("GET", "/api/_platform/apps")):
        assert_error(await client.request(method, path), *missing)
        assert_error(await client.request(method, path, headers={"X-Guard": "c admin"}), *missing)
    assert (await client.get("/health")).status == 200
    assert (await client.get("/api/absent/team")).status == 404
    assert (await client.post("team", content=b"{")).status == 400
    user = {"X-Guard": "a staff"}
    admins_only = (403, "FORBIDDEN", "Admin access required", [])
    for method, path in (
        ("POST", "_admin/entities"),
        ("DELETE", "_admin/entities/team"),
        ("GET", "_admin/export"),
        ("POST", "_admin/import"),
        ("GET", "_admin/nonsense"),
        ("GET", "/api/_platform/apps"),
        ("POST", "/api/_platform/apps"),
    ):
        assert_error(await client.request(method, path, {}, headers=user), *admins_only)
    assert_error(await client.get("/api/_platform/apps", headers={"X-Guard": "a admin"}), *admins_only)
    assert (await client.get("/api/_platform/apps", headers={"X-Guard": "a platform_admin"})).status == 200
    assert_error(await client.get("team", headers={"X-Guard": "refused"}), 401, "UNAUTHORIZED", "refused by b", [])
    assert_error(
        await client.get("team", headers={"X-Guard": "broken"}), 500, "INTERNAL_ERROR", "Internal server error"
    )
    # The first plugin that knows the caller decides.
    seen.clear()
    for known in ("a", "b", "any"):
        (await client.get("team", headers={"X-Guard": f"{known} admin"})).require(200)
    assert seen == ["a", "b", "b"]
    assert (await open_house.client.in_app("shop").get("_admin/export")).status == 200
