"""Lists: their shape, paging, projection and parameters, contract §3.1."""

import pytest

from rocket_kernel.testing import assert_error, entity, one_to_many

NUMBERED = entity("thing", id="int", n="int", s="string")


async def numbered(client, count, **values):
    await client.define(NUMBERED)
    return [await client.create("thing", {"n": at, **values}) for at in range(count)]


async def ids(client, query=""):
    return [row["id"] for row in (await client.get(f"thing?{query}")).require(200).data]


async def test_an_empty_list(client):
    await client.define(NUMBERED)
    answer = (await client.get("thing")).require(200)
    assert answer.body == b'{"data":[],"meta":{"page":1,"per_page":25,"total":0,"total_pages":0}}'
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_list_shows_records_by_key_and_what_there_is_in_all(client):
    rows = await numbered(client, 30)
    answer = (await client.get("thing")).require(200)
    assert answer.text.startswith('{"data":[{"id":1,"n":0,"s":null},{"id":2,"n":1,"s":null},')
    assert answer.text.endswith('],"meta":{"page":1,"per_page":25,"total":30,"total_pages":2}}')
    assert answer.data == rows[:25]


async def test_page_numbers(client):
    rows = await numbered(client, 5)
    readable = {"2": 2, "2.7": 2, "+2": 2, " 2 ": 2, "2e0": 2, "3": 3, "4": 4}
    first = ["", "0", "-1", "-2.5", "0.5", "abc", "2,5", "0x2", "nan", "inf", "-inf", "1_0", "٢", "2 3", "null", "1"]
    last = ["1e9", "1000000001", "1e99", "9" * 40]
    cases = {**readable, **dict.fromkeys(first, 1), **dict.fromkeys(last, 10**9)}
    found = {}
    for text in cases:
        answer = (await client.get("thing", params={"page": text, "per_page": 2})).require(200)
        page = answer.meta["page"]
        assert answer.meta == {"page": page, "per_page": 2, "total": 5, "total_pages": 3}
        assert answer.data == rows[(page - 1) * 2 : page * 2]
        found[text] = page
    assert found == cases


async def test_page_sizes(client):
    rows = await numbered(client, 3)
    cases = {"1": 1, "2": 2, "2.9": 2, "200": 200, "201": 200, "1e9": 200, "9" * 40: 200, "1e99": 200}
    cases |= dict.fromkeys(["", "0", "-5", "0.9", "abc", "inf", "1_0", "true"], 25)
    found = {}
    for text in cases:
        answer = (await client.get("thing", params={"per_page": text})).require(200)
        size = answer.meta["per_page"]
        assert answer.meta == {"page": 1, "per_page": size, "total": 3, "total_pages": -(-3 // size)}
        assert answer.data == rows[:size]
        found[text] = size
    assert found == cases


async def test_the_largest_page_is_configured(start_kernel):
    client = await (await start_kernel(config={"limits.max_per_page": 2})).client.app("shop")
    await numbered(client, 3)
    for query in ("per_page=3", "per_page=2", "per_page=1e9"):
        assert (await client.get(f"thing?{query}")).meta == {"page": 1, "per_page": 2, "total": 3, "total_pages": 2}


async def test_pages_of_equal_rows_show_each_row_once(client):
    rows = await numbered(client, 23, s="same")
    for sort in ("s", "-s", "s,-s"):
        seen = []
        for page in range(1, 6):
            seen += await ids(client, f"sort={sort}&per_page=5&page={page}")
        assert seen == [row["id"] for row in rows]


async def test_totals_follow_every_write(client):
    """A total that is kept must not outlive what it counted."""
    await numbered(client, 2)
    for expected in (3, 4):
        await client.create("thing", {"n": 0})
        assert (await client.get("thing")).meta["total"] == expected
        assert (await client.get("thing?filter[n]=0")).meta["total"] == expected - 1
    await client.delete("thing/1")
    assert (await client.get("thing?filter[n]=0")).meta["total"] == 2
    await client.put("thing/2", {"n": 0})
    assert (await client.get("thing?filter[n]=0")).meta["total"] == 3


async def test_projection(client):
    await client.define(
        entity("shelf", n="string"), entity("book", {"soft_delete": True}, a="int", b="string", shelf_id="uuid")
    )
    await client.relate(one_to_many("books", "shelf", "book"))
    shelf = await client.create("shelf", {"n": "x"})
    book = await client.create("book", {"a": 1, "b": "two", "shelf_id": shelf["id"]})
    # The mark of soft deletion is part of a whole record; whoever names fields gets those and the key.
    everything = ["id", "a", "b", "shelf_id", "deleted_at"]
    cases = {
        "fields=a": ["id", "a"],
        "fields=b,a": ["id", "a", "b"],
        "fields= a , a ,b": ["id", "a", "b"],
        "fields=id": ["id"],
        "fields=": everything,
        "fields=%20": everything,
        "fields=a&include=shelf": ["id", "a", "shelf"],
        "fields=a&include=shelf&sort=b&filter[b]=two": ["id", "a", "shelf"],
    }
    shown = {**book, "shelf": shelf}
    for query, members in cases.items():
        (listed,) = (await client.get(f"book?{query}")).require(200).data
        one = (await client.get(f"book/{book['id']}?{query}")).require(200).data
        for record in (listed, one):
            assert record == {name: shown[name] for name in members}, query
            assert list(record) == members, query


async def test_unknown_names_are_told_in_a_fixed_order(client):
    await client.define(entity("thing", a="int", j="json"))
    cases = [
        ("fields=b", "Unknown field: b"),
        ("fields=a,,id", "Unknown field: "),
        ("fields=a,", "Unknown field: "),
        ("fields=,", "Unknown field: "),
        ("fields=A", "Unknown field: A"),
        ("fields=a.b", "Unknown field: a.b"),
        ("fields=deleted_at", "Unknown field: deleted_at"),
        ("fields=b&include=c", "Unknown include: c"),
        ("fields=b&include=c&sort=d", "Unknown sort field: d"),
        ("fields=b&include=c&sort=d&filter[e]=1", "Unknown filter field: e"),
        ("filter[e]=1&filter[d]=1", "Unknown filter field: e"),
        ("sort=a,b,c", "Unknown sort field: b"),
        ("include=a", "Unknown include: a"),
    ]
    for query, message in cases:
        assert_error(await client.get(f"thing?{query}"), 400, "UNKNOWN_FIELD", message, [])
    # An unknown entity is told before anything else.
    answer = await client.get("nothing?fields=b&include=c&sort=d&filter[e]=1")
    assert_error(answer, 404, "UNKNOWN_ENTITY", "Unknown entity: nothing", [])
    made = await client.create("thing", {})
    for query, message in cases[:8]:
        assert_error(await client.get(f"thing/{made['id']}?{query}"), 400, "UNKNOWN_FIELD", message, [])
    # GET of one knows neither filters nor sorting.
    assert (await client.get(f"thing/{made['id']}?sort=d&filter[e]=1&page=x")).data == made


async def test_parameters_that_mean_nothing_are_ignored(client):
    rows = await numbered(client, 2)
    for query in (
        "x=1",
        "Page=2",
        "filter=1",
        "filter[n",
        "filter.n=1",
        "Filter[n]=1",
        "FILTER[zzz]=1",
        "sort[]=zzz",
        "q=1&search=2&_method=DELETE&explain=true",
        "sort=&include=&fields=",
        "sort=%20&include=%20",
        "&&&",
        "=",
        "sort",
        "include&fields",
    ):
        answer = (await client.get(f"thing?{query}")).require(200)
        assert (answer.data, answer.meta["page"]) == (rows, 1), query


async def test_of_a_parameter_given_twice_the_last_counts(client):
    await numbered(client, 4)
    assert await ids(client, "sort=zzz&sort=-id") == [4, 3, 2, 1]
    assert await ids(client, "page=7&page=1&per_page=1&per_page=2") == [1, 2]
    assert await ids(client, "filter[n]=zzz&filter[n]=1") == [2]
    # `filter[n.gt]` and `filter[n][gt]` are one key, blanks around names count for nothing.
    assert await ids(client, "filter[n.gt]=0&filter[n][gt]=2") == [4]
    assert await ids(client, "filter[n][gt]=2&filter[n.gt]=0") == [2, 3, 4]
    assert await ids(client, "filter[n.gt]=0&filter[n][gt]=1&filter[n.gt]=2") == [4]
    assert await ids(client, "filter[ n . gt ]=1&filter[n.gt]=2") == [4]
    assert await ids(client, "filter[n]=1&filter[n.eq]=2") == []
    assert await ids(client, "fields=zzz&fields=n") == [1, 2, 3, 4]


async def test_query_strings_are_utf_8(client):
    await client.define(NUMBERED)
    await client.create("thing", {"s": "a b+c ü 🦊 &=;%"})
    assert await ids(client, "filter[s]=a+b%2bc+%C3%BC+%F0%9F%A6%8A+%26%3D;%25") == [1]
    assert await ids(client, "filter%5Bs%5D=a%20b%2Bc%20ü%20🦊%20%26=;%25") == [1]
    for bad in ("%FF", "%ED%A0%80", "%C3", "%00", "a%00b", "%C0%80"):
        for query in (f"filter[s]={bad}", f"{bad}=1", f"filter[{bad}]=1", f"x={bad}", f"page={bad}"):
            assert_error(await client.get(f"thing?{query}"), 400, "INVALID_PAYLOAD")
    # Not a zero character, but a percent sign and two digits.
    assert await ids(client, "filter[s]=%2500") == []


@pytest.mark.parametrize("size", ["at the limit", "beyond"])
async def test_limits(client, size):
    await client.define(
        entity("node", id="int", up_id="int", s="string", **{f"f{at}": "int" for at in range(51)}),
    )
    await client.relate(one_to_many("downs", "node", "node", "up_id"), *[
        one_to_many(f"r{at:02}", "node", "node", "up_id") for at in range(21)
    ])  # fmt: skip
    await client.create("node", {"s": "x", **{f"f{at}": 1 for at in range(51)}})
    more = 0 if size == "at the limit" else 1
    path = ".".join(["up"] * (4 + more))
    queries = [
        "&".join(f"filter[f{at}]=1" for at in range(50 + more)),
        "filter[f1.in]=" + ",".join(["1"] * (1000 + more)),
        "filter[s.neq]=" + "ü" * (8192 + more),
        "filter[s.like]=" + "x" * (8192 + more),
        "filter[f1.in]=" + "1," * 4 + "1".rjust(8184 + more),
        "sort=" + ",".join(f"f{at}" for at in range(10 + more)),
        "include=" + ",".join(f"r{at:02}" for at in range(20 + more)),
        f"include={path}",
        f"sort={path}.s",
        f"filter[{path}.s]=x",
        f"filter[{path}.s.in]=x",
    ]
    found = []
    for query in queries:
        answer = await client.get(f"node?{query}")
        if more:
            assert_error(answer, 400, "INVALID_PAYLOAD", details=[])
        found.append(answer.status)
    assert found == [400 if more else 200] * len(queries)


async def test_a_query_of_very_many_parameters(client):
    await client.define(NUMBERED)
    assert await ids(client, "&".join(f"x{at}=1" for at in range(1000))) == []
    answer = await client.get("thing?" + "&".join(f"x{at}=1" for at in range(1001)))
    assert_error(answer, 400, "INVALID_PAYLOAD")


async def test_soft_deleted_rows_are_nowhere(client):
    declared = entity("kept", {"soft_delete": True}, n="int", deleted_at="timestamp")
    hidden = entity("gone", {"soft_delete": True}, n="int")
    await client.define(declared, hidden)
    for name in ("kept", "gone"):
        rows = [await client.create(name, {"n": n}) for n in range(3)]
        await client.delete(f"{name}/{rows[0]['id']}")
        for query in ("", "?filter[n.gte]=0", "?sort=-n", "?include=", "?per_page=1"):
            answer = (await client.get(f"{name}{query}")).require(200)
            assert answer.meta["total"] == 2
            assert rows[0]["id"] not in answer.text
        message = f"{name} with id {rows[0]['id']} not found"
        assert_error(await client.get(f"{name}/{rows[0]['id']}"), 404, "NOT_FOUND", message)
        assert (await client.get(f"{name}?filter[n]=0")).meta["total"] == 0
    # Declared it is a field like any other, which only ever shows null.
    assert (await client.get("kept?filter[deleted_at.is_null]=true&sort=deleted_at")).meta["total"] == 2
    assert (await client.get("kept?filter[deleted_at.is_null]=false")).meta["total"] == 0
    assert_error(await client.get("gone?filter[deleted_at.is_null]=true"), 400, "UNKNOWN_FIELD")
    assert_error(await client.get("gone?sort=deleted_at"), 400, "UNKNOWN_FIELD", "Unknown sort field: deleted_at")
    assert_error(
        await client.get("gone?filter[deleted_at]=x"), 400, "UNKNOWN_FIELD", "Unknown filter field: deleted_at"
    )


async def test_head_answers_like_get_without_a_body(client):
    await numbered(client, 3)
    for query in ("", "?filter[n]=1", "?sort=zzz"):
        got, head = await client.get(f"thing{query}"), await client.request("HEAD", f"thing{query}")
        assert (head.status, head.body) == (got.status, b"")
        for header in ("Content-Type", "Cache-Control", "X-Content-Type-Options"):
            assert head.headers.getlist(header) == got.headers.getlist(header), header


async def test_the_body_of_a_get_is_ignored(client):
    rows = await numbered(client, 1)
    for content in (b"{", b"[]", b"\xff", b'{"page":2}', b"x" * 100_000):
        answer = await client.get("thing", content=content, headers={"Content-Type": "application/json"})
        assert answer.require(200).data == rows
