"""Sorting: contract §3.4."""

from decimal import Decimal

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

VALUES = {
    "string": (["b", "", "B", "a", "ab", "10", "9", "ä", "z", "ﬀ", "😀", " ", "a\u0308", "_"], str),
    "text": (["zz", "Z", "é", "e"], str),
    "int": ([10, 9, -10, -9, 0, 2**31 - 1, -(2**31)], int),
    "integer": ([2, 1], int),
    "bigint": ([2**53 + 1, 2**53, 10, 9, -10, 2**63 - 1, -(2**63)], int),
    "float": ([1e300, 0.1, 0.30000000000000004, 0.3, -1.5, 10, 9, 5e-324, 0], float),
    "decimal": (
        [
            "10",
            "9",
            "9.5",
            "-10",
            "-9.99",
            "-9.9",
            "0",
            "0.05",
            "1e30",
            "1e-30",
            "12345678901234567890123456789012345678",
        ],
        Decimal,
    ),
    "decimal:2": (["10", "9", "-0.01", "-10", "9.99", "0", "-9999999999999999.99", "9999999999999999.99"], Decimal),
    "boolean": ([True, False], bool),
    "uuid": ([f"{letter}0000000-0000-4000-8000-000000000000" for letter in "f1a0"], str),
    "timestamp": (
        [
            "2024-01-01T00:00:00.001Z",
            "2024-01-01T00:00:00.000Z",
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T00:00:00.000Z",
        ],
        str,
    ),
    "date": (["2024-02-29", "2023-12-31", "0001-01-01", "9999-12-31"], str),
}


async def ids(client, query, path="row"):
    return [row["id"] for row in (await client.get(f"{path}?{query}&per_page=200")).require(200).data]


@pytest.mark.parametrize("type", VALUES)
async def test_every_type_sorts_by_value_with_nulls_last_and_first(client, type):
    values, key = VALUES[type]
    await client.define(entity("row", id="int", v=type))
    for value in [None, *values, None, *values[:1]]:
        await client.create("row", {"v": value})
    given = [(at, key(value)) for at, value in enumerate([*values, None, values[0]], 2) if value is not None]
    nulls = [1, len(values) + 2]
    ascending = [at for at, _ in sorted(given, key=lambda pair: (pair[1], pair[0]))]
    descending = [at for at, _ in sorted(sorted(given), key=lambda pair: pair[1], reverse=True)]
    assert await ids(client, "sort=v") == ascending + nulls
    assert await ids(client, "sort=-v") == nulls + descending
    # A filter changes what is shown, not its order.
    assert await ids(client, "sort=-v&filter[v.is_null]=false") == descending


@pytest.mark.parametrize(
    ("type", "keys"), [("uuid", ["f", "1", "0", "a"]), ("string", ["b", "B", "a", "ä"]), ("bigint", [9, 10, -1, 2**60])]
)
async def test_the_key_breaks_ties_ascending(client, type, keys):
    await client.define(entity("row", {"primary_key": {"field": "id"}}, id=type, v="int"))
    if type == "uuid":
        keys = [f"{letter}0000000-0000-4000-8000-000000000000" for letter in keys]
    for key in keys:
        await client.create("row", {"id": key, "v": 1})
    expected = [str(key) for key in sorted(keys)]
    for query in ("", "sort=v", "sort=-v", "sort=v,-v", "sort=id", "sort=v,id,-id"):
        assert await ids(client, query) == expected, query
    assert await ids(client, "sort=-id") == expected[::-1]


async def test_several_keys(client):
    await client.define(entity("row", id="int", a="int", b="string"))
    for a, b in ((1, "x"), (2, "y"), (1, "z"), (None, "a"), (2, None)):
        await client.create("row", {"a": a, "b": b})
    cases = {
        "sort=a,b": [1, 3, 2, 5, 4],
        "sort=a,-b": [3, 1, 5, 2, 4],
        "sort=-a,b": [4, 2, 5, 1, 3],
        "sort=-a,-b": [4, 5, 2, 3, 1],
        "sort= -a , b ": [4, 2, 5, 1, 3],
        "sort=b,a": [4, 1, 2, 3, 5],
        "sort=-id": [5, 4, 3, 2, 1],
        "sort=a,a,a,-a": [1, 3, 2, 5, 4],
        "sort=": [1, 2, 3, 4, 5],
    }
    for query, expected in cases.items():
        assert await ids(client, query) == expected, query


async def test_what_nothing_sorts_by(client):
    await client.define(entity("shelf", n="int"), entity("row", a="int", j="json", shelf_id="uuid"), entity("tag"))
    await client.relate(one_to_many("rows", "shelf", "row"), many_to_many("tags", "row", "tag"))
    cases = {
        "b": "b",
        "A": "A",
        "j": "j",
        "-j": "j",
        "-b": "b",
        "a,": "",
        ",a": "",
        "-": "",
        "--a": "-a",
        "a,,id": "",
        "a asc": "a asc",
        "a;": "a;",
        "a.b": "a.b",
        "a.eq": "a.eq",
        "shelf": "shelf",
        "shelf.": "shelf.",
        "shelf.b": "shelf.b",
        "-shelf.b": "shelf.b",
        "tags.id": "tags.id",
        "shelf.rows.a": "shelf.rows.a",
        "deleted_at": "deleted_at",
        "1": "1",
        "id desc; drop table row": "id desc; drop table row",
        '"a"': '"a"',
    }
    for text, shown in cases.items():
        answer = await client.get("row", params={"sort": text})
        assert_error(answer, 400, "UNKNOWN_FIELD", f"Unknown sort field: {shown}", [])
    assert_error(await client.get("shelf?sort=rows.a"), 400, "UNKNOWN_FIELD", "Unknown sort field: rows.a")
    await client.create("row", {})


async def test_paths_through_to_one_relations(client):
    soft = {"soft_delete": True}
    await client.define(
        entity("country", soft, id="int", name="string", rank="decimal"),
        entity("city", soft, id="int", country_id="int", name="string"),
        entity("person", soft, id="int", city_id="int", name="string"),
    )
    await client.relate(one_to_many("cities", "country", "city"), one_to_many("people", "city", "person"))
    for name, rank in (("b", "10"), ("a", "9.5"), ("gone", "1")):
        await client.create("country", {"name": name, "rank": rank})
    for country, name in ((1, "x"), (2, "y"), (None, "w"), (3, "v"), (2, None)):
        await client.create("city", {"country_id": country, "name": name})
    for city in (1, 2, None, 3, 4, 5, 99, 6):
        await client.create("person", {"city_id": city, "name": "p"})
    await client.create("city", {"country_id": 1, "name": "A"})
    await client.delete("city/6")
    await client.delete("country/3")
    # Person 3 has no city, 7 and 8 have none that is there; 4 has one without country, 5 one whose country is gone.
    cases = {
        "sort=city.name": [5, 4, 1, 2, 3, 6, 7, 8],
        "sort=-city.name": [3, 6, 7, 8, 2, 1, 4, 5],
        "sort=city.country.name": [2, 6, 1, 3, 4, 5, 7, 8],
        "sort=-city.country.name": [3, 4, 5, 7, 8, 1, 2, 6],
        "sort=city.country.rank": [2, 6, 1, 3, 4, 5, 7, 8],
        "sort=-city.country.rank,-id": [8, 7, 5, 4, 3, 1, 6, 2],
        "sort=people.name": [5, 4, 1, 2, 3, 6, 7, 8],
        "sort= city . name , -id ": [5, 4, 1, 2, 8, 7, 6, 3],
        "sort=city.id": [1, 2, 4, 5, 6, 3, 7, 8],
        "sort=name,-city.id": [3, 7, 8, 6, 5, 4, 2, 1],
        "sort=city.name&filter[city.country.name.is_null]=false": [1, 2, 6],
    }
    for query, expected in cases.items():
        assert await ids(client, query, "person") == expected, query


async def test_paths_of_one_to_one_lead_both_ways_and_of_an_entity_to_itself(client):
    await client.define(
        entity("user", id="int", n="string", boss_id="int"), entity("profile", id="int", user_id="int", n="string")
    )
    await client.relate(one_to_one("profile", "user", "profile"), one_to_many("staff", "user", "user", "boss_id"))
    for n, boss in (("c", None), ("b", 1), ("a", 2)):
        await client.create("user", {"n": n, "boss_id": boss})
    for user, n in ((2, "z"), (1, "y")):
        await client.create("profile", {"user_id": user, "n": n})
    assert await ids(client, "sort=profile.n", "user") == [1, 2, 3]
    assert await ids(client, "sort=-profile.n", "user") == [3, 2, 1]
    assert await ids(client, "sort=user.n", "profile") == [1, 2]
    assert await ids(client, "sort=boss.n", "user") == [3, 2, 1]
    assert await ids(client, "sort=boss.boss.n", "user") == [3, 1, 2]
    assert await ids(client, "sort=boss.boss.boss.boss.n,-id", "user") == [3, 2, 1]
    assert await ids(client, "sort=-profile.user.boss.n", "user") == [1, 3, 2]
    for key in ("staff.n", "boss.staff.n"):
        assert_error(await client.get(f"user?sort={key}"), 400, "UNKNOWN_FIELD", f"Unknown sort field: {key}", [])
