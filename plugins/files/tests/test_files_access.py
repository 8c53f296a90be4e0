"""Who may read a file: contract §13.5, tried at each request for GET, HEAD, ranges and links alike."""

from dataclasses import dataclass

import pytest

from rocket_files.access import _BATCH
from rocket_kernel import Compare, Entity, Forbidden, Plugin, ReadGrant, Related, hookimpl
from rocket_kernel.testing import assert_error, entity, one_to_many


@dataclass(frozen=True)
class ClerkPolicy:
    """Clerks read rows that are `open`, and `cover` of those that are not `hidden`; others read nothing."""

    entity: Entity

    def grant(self, actor):
        if actor.is_admin:
            return ReadGrant()
        if "clerk" not in actor.roles:
            raise Forbidden(f"Permission denied for read on {self.entity.name}")
        names = frozenset(self.entity.fields)
        condition = Compare(self.entity.fields["open"], "eq", True) if "open" in names else None
        if "hidden" not in names:
            return ReadGrant(condition)
        return ReadGrant(
            condition,
            frozenset({"cover"}),
            lambda record: names - {"cover"} if record["hidden"] else names,
        )


class Clerks(Plugin):
    name = "clerks"

    @hookimpl
    def compile_read_policy(self, entity):
        return ClerkPolicy(entity)


@pytest.fixture
async def client(start_files):
    _, client = await start_files(Clerks)
    await client.define(
        entity("book", {"soft_delete": True}, title="string", open="boolean", cover="file", back="file"),
        entity("page", hidden="boolean", cover="file"),
        entity("plain", title="string"),
    )
    return client


@pytest.fixture
def clerk(client, person):
    return client.as_actor(person("clerk"))


async def sees(caller, file):
    """Whether the caller may read a file, by every way there is."""
    answers = [
        await caller.get(file["url"]),
        await caller.request("HEAD", file["url"]),
        await caller.get(file["url"], headers={"Range": "bytes=0-0"}),
        await caller.get(file["url"], headers={"If-None-Match": "*"}),
        await caller.get(f"{file['url']}/url"),
    ]
    statuses = [answer.status for answer in answers]
    if statuses == [200, 200, 206, 304, 200]:
        return True
    assert statuses == [404] * 5
    for answer in (answers[0], answers[4]):
        assert_error(answer, 404, "NOT_FOUND", f"File {file['id']} not found")
    return False


async def test_admins_and_the_uploader(client, clerk, upload, person):
    owner = client.as_actor(person("staff"))
    file = await upload(owner)
    assert await sees(owner, file)
    assert await sees(client, file)
    assert not await sees(clerk, file)
    assert not await sees(client.as_actor(person("staff")), file)


async def test_public_files_are_for_everybody(client, clerk, upload, person):
    file = await upload(client, public="true")
    assert await sees(clerk, file)
    assert await sees(client.as_actor(person()), file)


async def test_without_a_token(start_files, upload):
    running, client = await start_files(Clerks)
    private, public = await upload(client), await upload(client, public="true")
    await running.stop()
    _, stranger = await start_files(Clerks, settings={"actors": {"default": None}}, app=None)
    stranger = stranger.in_app("shop")
    for method in ("GET", "HEAD"):
        assert (await stranger.request(method, public["url"])).status == 200
        for path in (private["url"], private["url"][:-1] + "0", "_files/x"):
            assert (await stranger.request(method, path)).status == 401
    assert_error(await stranger.get(private["url"]), 401, "UNAUTHORIZED", "Missing auth token")
    for method, path in (("GET", "_files"), ("DELETE", f"_files/{public['id']}"), ("GET", f"{public['url']}/url")):
        assert_error(await stranger.request(method, path), 401, "UNAUTHORIZED", "Missing auth token")


async def test_listing_and_deleting_are_for_admins(client, clerk, upload):
    own = await upload(clerk)
    for method, path in (("GET", "_files"), ("DELETE", f"_files/{own['id']}")):
        assert_error(await clerk.request(method, path), 403, "FORBIDDEN", "Admin access required")
    assert await sees(clerk, own)


async def test_a_record_shows_its_files(client, clerk, upload, person):
    file = await upload(client)
    assert not await sees(clerk, file)
    book = await client.create("book", {"open": True, "back": file["id"]})
    assert await sees(clerk, file)
    assert not await sees(client.as_actor(person("staff")), file)
    await client.put(f"book/{book['id']}", {"open": False})
    assert not await sees(clerk, file)
    await client.put(f"book/{book['id']}", {"open": True})
    assert await sees(clerk, file)
    await client.put(f"book/{book['id']}", {"back": None})
    assert not await sees(clerk, file)


async def test_another_file_takes_the_right_away(client, clerk, upload):
    first, second = await upload(client), await upload(client)
    book = await client.create("book", {"open": True, "cover": first["id"]})
    await client.put(f"book/{book['id']}", {"cover": {"id": second["id"]}})
    assert (await sees(clerk, first), await sees(clerk, second)) == (False, True)


async def test_a_deleted_record_shows_nothing(client, clerk, upload):
    soft, hard = await upload(client), await upload(client)
    book = await client.create("book", {"open": True, "cover": soft["id"]})
    page = await client.create("page", {"hidden": False, "cover": hard["id"]})
    assert await sees(clerk, soft)
    assert await sees(clerk, hard)
    await client.delete(f"book/{book['id']}")
    await client.delete(f"page/{page['id']}")
    assert not await sees(clerk, soft)
    assert not await sees(clerk, hard)


async def test_one_of_many_records_is_enough(client, clerk, upload):
    file = await upload(client)
    await client.create("book", {"open": False, "cover": file["id"]})
    assert not await sees(clerk, file)
    await client.create("book", {"open": True, "cover": None, "back": file["id"]})
    assert await sees(clerk, file)


async def test_the_field_must_be_shown_too(client, clerk, upload):
    file = await upload(client)
    hidden = await client.create("page", {"hidden": True, "cover": file["id"]})
    assert "cover" not in (await clerk.get(f"page/{hidden['id']}")).data
    assert not await sees(clerk, file)
    await client.create("page", {"hidden": False, "cover": file["id"]})
    assert await sees(clerk, file)


async def test_the_record_that_shows_it_may_come_late(client, clerk, upload):
    file = await upload(client)
    rows = [
        {"id": f"00000000-0000-4000-8000-{number:012}", "hidden": True, "cover": file["id"]}
        for number in range(_BATCH + 5)
    ]
    document = {"entities": [entity("page", hidden="boolean", cover="file")], "sample_data": {"page": rows}}
    imported = (await client.post("_admin/import", document)).require(200).data
    assert imported["summary"]["records"] == _BATCH + 5
    assert not await sees(clerk, file)
    last = "ffffffff-0000-4000-8000-000000000000"
    document["sample_data"]["page"] = [{"id": last, "hidden": False, "cover": file["id"]}]
    assert (await client.post("_admin/import", document)).data["summary"]["records"] == 1
    assert await sees(clerk, file)


async def test_conditions_on_related_rows_hold(start_files, upload, person):
    @dataclass(frozen=True)
    class OwnShelf:
        condition: object

        def grant(self, actor):
            return ReadGrant() if actor.is_admin else ReadGrant(condition=self.condition)

    class Shelves(Plugin):
        name = "shelves"

        @hookimpl
        def compile_read_policy(self, entity, model):
            hop = model.hop(entity.name, "shelf")
            if hop is None:
                return None
            return OwnShelf(Related(hop, Compare(model.entities["shelf"].fields["free"], "eq", True)))

    _, client = await start_files(Shelves)
    await client.define(entity("shelf", free="boolean"), entity("book", shelf_id="uuid", cover="file"))
    await client.relate(one_to_many("books", "shelf", "book", target_key="shelf_id"))
    file, shelf = await upload(client), await client.create("shelf", {"free": False})
    await client.create("book", {"shelf_id": shelf["id"], "cover": file["id"]})
    reader = client.as_actor(person("clerk"))
    assert not await sees(reader, file)
    await client.put(f"shelf/{shelf['id']}", {"free": True})
    assert await sees(reader, file)


async def test_a_field_that_is_defined_no_longer_shows_nothing(client, clerk, upload):
    file = await upload(client)
    page = entity("page", hidden="boolean", cover="file")
    await client.create("page", {"hidden": False, "cover": file["id"]})
    assert await sees(clerk, file)
    page["fields"] = [field for field in page["fields"] if field["name"] != "cover"]
    (await client.put("_admin/entities/page", page)).require(200)
    assert not await sees(clerk, file)
    await client.delete("_admin/entities/page")
    assert not await sees(clerk, file)


async def test_nobody_gives_away_what_they_may_not_read(client, clerk, upload, person):
    secret = await upload(client)
    for value in (secret["id"], {"id": secret["id"]}, secret):
        refused = await clerk.post("book", {"open": True, "cover": value})
        finding = {"field": "cover", "rule": "file", "message": f"File {secret['id']} not found"}
        assert_error(refused, 422, "VALIDATION_FAILED", details=[finding])
    own = await upload(clerk)
    book = await clerk.create("book", {"open": True, "cover": own["id"]})
    await client.put(f"book/{book['id']}", {"cover": secret["id"]})
    # Who may read the record reads the file, and so may hand it on.
    assert (await clerk.post("book", {"open": True, "back": secret["id"]})).status == 201
    await client.put(f"book/{book['id']}", {"open": False})
    assert (await client.as_actor(person("staff")).post("book", {"cover": secret["id"]})).status == 422
