"""GET by id or slug: contract §3.6, and the kinds of ids of §2.3."""

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

ID = "12345678-90ab-4cde-8f01-234567890abc"
OTHER = "ffffffff-90ab-4cde-8f01-234567890abc"


def keyed(type, **fields):
    return entity("thing", {"primary_key": {"field": "id"}}, id=type, **fields)


def slugged(type):
    slug = {"slug": {"field": "slug"}, "primary_key": {"field": "id"}}
    return entity("thing", slug, id=type, slug="string unique", n="int")


async def missing(client, id, shown=None):
    answer = await client.get(f"thing/{id}")
    assert_error(answer, 404, "NOT_FOUND", f"thing with id {id if shown is None else shown} not found", [])


async def test_the_shape_of_one(client):
    await client.define(entity("thing", {"soft_delete": True}, b="string", a="bigint"))
    made = await client.create("thing", {"b": "x"})
    answer = (await client.get(f"thing/{made['id']}")).require(200)
    assert answer.text == f'{{"data":{{"id":"{made["id"]}","b":"x","a":null,"deleted_at":null}}}}'
    head = await client.request("HEAD", f"thing/{made['id']}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == answer.headers["ETag"]
    head = await client.request("HEAD", f"thing/{ID}")
    assert (head.status, head.body) == (404, b"")


@pytest.mark.parametrize(
    ("type", "key", "same", "others", "bad"),
    [
        (
            "uuid",
            ID,
            [ID.upper()],
            [OTHER],
            ["1", "abc", ID[:-1], ID + "0", ID.replace("-", ""), "null", "{id}", f"{{{ID}}}"],
        ),
        (
            "int",
            7,
            ["7", "007"],
            ["8", "-7", "0"],
            ["7.0", "7e0", "+7", " 7", "seven", "2147483648", "-2147483649", "9" * 400, "７"],
        ),
        ("bigint", 2**63 - 1, [str(2**63 - 1)], [str(2**63 - 2)], [str(2**63), "1e3", "x"]),
        ("string", "a", [], ["A", " a", "a ", "%", "_", "á"], []),
    ],
)
async def test_ids_of_every_type(client, type, key, same, others, bad):
    await client.define(keyed(type, n="int"))
    made = await client.create("thing", {"id": key, "n": 1})
    for id in [key, *same]:
        assert (await client.get(f"thing/{id}")).require(200).data == made, id
    for id in [*others, *bad, "'", '"', "1' OR '1'='1", "null", "true", "ünï", "a" * 3000, "-", "."]:
        await missing(client, id)
    await missing(client, "%00", "\x00")
    await missing(client, "a%00", "a\x00")


async def test_ids_are_decoded_once_and_stay_one_segment(client):
    await client.define(keyed("string"))
    ids = ["a/b", "a b", "a%2Fb", "ü🦊", "?x=1", "#x", "a+b", "_transitions", "..", ";", "A", "x" * 500]
    for id in ids:
        await client.create("thing", {"id": id})
    for id in ids:
        path = (
            id.replace("%", "%25").replace("/", "%2F").replace("?", "%3F").replace("#", "%23").replace("..", "%2E%2E")
        )
        answer = await client.get(f"thing/{path}")
        assert answer.require(200).data == {"id": id}
        # DELETE answers the id as it was given.
        assert (await client.delete(f"thing/{path}")).require(200).json == {"data": {"id": id}}


@pytest.mark.parametrize(
    ("type", "key", "slugs"),
    [
        ("uuid", ID, ["nice", "12", "Ä/b", ID[:-1], "0"]),
        ("int", 7, ["nice", "7a", "-7", "7.0", " 7", "a b"]),
        ("bigint", 7, ["nice", "-8", "x7"]),
    ],
)
async def test_a_slug_is_tried_first_unless_the_id_looks_like_a_key(client, type, key, slugs):
    await client.define(slugged(type))
    first = await client.create("thing", {"id": key, "slug": slugs[0]})
    for at, slug in enumerate(slugs):
        (await client.put(f"thing/{key}", {"slug": slug, "n": at})).require(200)
        answer = await client.get(f"thing/{slug.replace('/', '%2F')}")
        assert answer.require(200).data == {**first, "slug": slug, "n": at}
        assert (await client.get(f"thing/{key}")).data["n"] == at
        await missing(client, slug.replace("/", "") + "x")
    # What looks like a key is a key, and never another row's slug.
    other = OTHER if type == "uuid" else "8"
    (await client.put(f"thing/{key}", {"slug": other})).require(200)
    await missing(client, other)
    second = await client.create("thing", {"id": other, "slug": "second"})
    assert (await client.get(f"thing/{other}")).data == second
    assert (await client.get(f"thing?filter[slug]={other}")).data[0]["id"] == first["id"]


async def test_of_slug_and_text_key_the_slug_wins(client):
    await client.define(slugged("string"))
    a = await client.create("thing", {"id": "one", "slug": "two"})
    b = await client.create("thing", {"id": "two", "slug": "three"})
    assert (await client.get("thing/two")).data == a
    assert (await client.get("thing/three")).data == b
    assert (await client.get("thing/one")).data == a
    (await client.delete("thing/two")).require(200)
    assert (await client.get("thing/two")).data == b


@pytest.mark.parametrize("by", ["key", "slug"])
async def test_every_method_finds_records_alike(client, by):
    await client.define(slugged("uuid"))
    await client.create("thing", {"id": ID, "slug": "nice", "n": 1})
    id = ID if by == "key" else "nice"
    for method in ("PUT", "PATCH"):
        answer = (await client.request(method, f"thing/{id}", {"n": 2})).require(200)
        assert answer.data == {"id": ID, "slug": "nice", "n": 2}
        assert_error(
            await client.request(method, f"thing/{id}x", {"n": 3}), 404, "NOT_FOUND", f"thing with id {id}x not found"
        )
    assert_error(await client.delete(f"thing/{id}x"), 404, "NOT_FOUND", f"thing with id {id}x not found")
    assert (await client.get("thing")).meta["total"] == 1
    assert (await client.delete(f"thing/{id}")).require(200).json == {"data": {"id": id}}
    await missing(client, id)
    assert_error(await client.delete(f"thing/{id}"), 404, "NOT_FOUND", f"thing with id {id} not found")


async def test_a_deleted_record_gives_its_slug_away(client):
    slug = {"slug": {"field": "slug"}, "soft_delete": True}
    await client.define(entity("thing", slug, slug="string unique"))
    gone = await client.create("thing", {"slug": "nice"})
    (await client.delete("thing/nice")).require(200)
    await missing(client, "nice")
    await missing(client, gone["id"])
    assert_error(await client.put(f"thing/{gone['id']}", {}), 404, "NOT_FOUND")
    again = await client.create("thing", {"slug": "nice"})
    assert (await client.get("thing/nice")).data == again


async def test_includes_work_as_on_lists(client):
    await client.define(entity("thing", id="int", slug="string"), entity("part", id="int", thing_id="int"))
    await client.relate(one_to_many("parts", "thing", "part"))
    await client.create("thing", {"slug": "x"})
    part = await client.create("part", {"thing_id": 1})
    assert (await client.get("thing/1?include=parts&fields=id")).data == {"id": 1, "parts": [part]}
    assert_error(await client.get("thing/1?include=x"), 400, "UNKNOWN_FIELD", "Unknown include: x")
    assert_error(await client.get("thing/1?fields=x"), 400, "UNKNOWN_FIELD", "Unknown field: x")
    # Names are looked at before the record.
    assert_error(await client.get("thing/2?include=x"), 400, "UNKNOWN_FIELD", "Unknown include: x")
    assert_error(await client.get("nothing/1?include=x"), 404, "UNKNOWN_ENTITY", "Unknown entity: nothing")
    assert_error(await client.get("thing/2"), 404, "NOT_FOUND", "thing with id 2 not found")
