"""Bodies, good and bad: contract §2.3, §0 items 10 and 11."""

import asyncio
import gzip
import zlib

import pytest

from rocket_kernel.testing import assert_error, entity

# Bodies are read before anything is asked of a database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

JSON = "application/json"
LIMIT = 2000
KEY = {"field": "id", "type": "int", "generated": True}
THING = entity("thing", id="int", v="string", j="json")
TOO_LARGE = f"Request body too large (max {LIMIT} bytes)"


@pytest.fixture
async def shop(start_kernel):
    client = await (await start_kernel(config={"server.max_body_bytes": LIMIT})).client.app("shop")
    await client.define(THING)
    await client.create("thing", {"v": "kept"})
    return client


@pytest.fixture
async def unbounded(client):
    await client.define(THING)
    return client


async def send(client, content, path="thing", method="POST", type=JSON, **headers):
    sent = {"Content-Type": type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await client.request(method, path, content=content, headers=sent)


async def values(client):
    return [row["v"] for row in (await client.get("thing")).data]


MALFORMED = [
    b"{",
    b"}",
    b"nothing",
    b"{'v':1}",
    b'{"v":1,}',
    b'{"v":[1,]}',
    b'{"v" 1}',
    b"{v:1}",
    b'{"v":01}',
    b'{"v":+1}',
    b'{"v":.5}',
    b'{"v":1.}',
    b'{"v":0x1}',
    b'{"v":NaN}',
    b'{"v":Infinity}',
    b'{"v":-Infinity}',
    b'{"v":True}',
    b'{"v":None}',
    b'{"v":"\x01"}',
    b'{"v":"\t"}',
    b'{"v":"\\x41"}',
    b'{"v":"\\u12"}',
    b'{"v":"a}',
    b'{"v":1} x',
    b'{"v":1}{"v":2}',
    b'{"v":1},',
    b'{"v":1}\x00',
    b'{"v":1 /* x */}',
    b'// x\n{"v":1}',
    b"\xef\xbb\xbf{}",
    '{"v":1}'.encode("utf-16"),
    b'{"v":"\xff"}',
    b'{"v":"\xc3"}',
    b'{"v":"\xc0\x80"}',
    b'{"v":"\xed\xa0\x80"}',
    b'{"v":"\xf4\x90\x80\x80"}',
    b'{"\xff":1}',
    b'{"v":"\\ud800"}',
    b'{"v":"\\udc00"}',
    b'{"v":"\\ud800\\ud800"}',
    b'{"v":"\\udc00\\ud800"}',
    b'{"\\ud800":1}',
    b'{"v":' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"v":' * 100_000,
    b'{"v":' + b"[" * 65 + b"]" * 65 + b"}",
    b'{"a":' * 65 + b"1" + b"}" * 65,
]


async def test_malformed_bodies(unbounded):
    for path, method in (("thing", "POST"), ("thing/1", "PUT"), ("thing/1", "PATCH"), ("_admin/entities", "POST"),
                         ("_admin/entities/thing", "PUT"), ("_admin/import", "POST"), ("/api/_platform/apps", "POST")):  # fmt: skip
        for content in MALFORMED:
            answer = await send(unbounded, content, path, method)
            assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid JSON body", [])
        for content in (b"null", b"[]", b'[{"v":1}]', b'"x"', b"7", b"-0.5e1", b"true", b" false "):
            assert_error(await send(unbounded, content, path, method), 400, "INVALID_PAYLOAD", "object expected", [])
    assert await values(unbounded) == []


async def test_nesting_of_64(unbounded):
    arrays = b"[" * 63 + b"]" * 63
    answer = await send(unbounded, b'{"j":' + arrays + b"}")
    assert answer.require(201).text == f'{{"data":{{"id":1,"v":null,"j":{arrays.decode()}}}}}'
    objects = b'{"a":' * 63 + b"1" + b"}" * 63
    assert (await send(unbounded, b'{"j":' + objects + b"}")).status == 201
    filled = b"[" * 64 + b"1" + b"]" * 64
    for deeper in (b'{"j":' + filled + b"}", b'{"j":{"a":' + objects + b"}}", b'{"x":' + filled + b"}"):
        assert_error(await send(unbounded, deeper), 400, "INVALID_PAYLOAD", "Invalid JSON body", [])
    # Brackets inside texts are no nesting.
    text = b'{"v":"' + b"[{" * 1000 + b'"}'
    assert (await send(unbounded, text)).require(201).data["v"] == "[{" * 1000
    # A body beside the depth may be as wide as it likes.
    wide = b'{"j":[' + b",".join([b"[[]]"] * 1000) + b"]}"
    assert len((await send(unbounded, wide)).require(201).data["j"]) == 1000


async def test_a_65th_level_that_is_empty(unbounded):
    answer = await send(unbounded, b'{"j":' + b"[" * 64 + b"]" * 64 + b"}")
    assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid JSON body", [])


async def test_an_empty_body_is_an_empty_object(unbounded):
    for content in (b"", b" ", b"\r\n\t "):
        assert (await send(unbounded, content)).require(201).data["v"] is None
    assert (await unbounded.post("thing")).require(201).data["v"] is None
    for method in ("PUT", "PATCH"):
        assert (await send(unbounded, b"", "thing/1", method)).require(200).data["v"] is None
    answer = await send(unbounded, b"", "_admin/entities")
    assert_error(answer, 422, "VALIDATION_FAILED", "entity name is required")


async def test_another_content_type_is_an_empty_object(unbounded):
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "application/jsonx",
             "application/xml", "application/octet-stream", "", "json", "*/*")  # fmt: skip
    for kind in kinds:
        for content in (b'{"v":"x"}', b"v=x", b"{", b"\xff"):
            assert (await send(unbounded, content, type=kind)).require(201).data["v"] is None, kind
    kinds = ("application/json; charset=utf-8", "APPLICATION/JSON", " application/json ;x=y", "application/json;charset=latin-1",
             "application/merge-patch+json", "application/vnd.api+json")  # fmt: skip
    for kind in kinds:
        answer = await send(unbounded, '{"v":"ü"}'.encode(), type=kind)
        assert answer.require(201).data["v"] == "ü", kind
        assert_error(await send(unbounded, b"{", type=kind), 400, "INVALID_PAYLOAD", "Invalid JSON body")


async def test_of_a_member_given_twice_the_last_counts(unbounded):
    answer = await send(unbounded, b'{"v":"a","j":{"x":1,"x":2},"v":"b","\\u0076":"c"}')
    assert answer.require(201).data == {"id": 1, "v": "c", "j": {"x": 2}}
    assert (await send(unbounded, b'{"v":[],"v":"b"}')).require(201).data["v"] == "b"


async def test_bodies_of_other_methods_are_ignored(shop):
    for content in (b"{", b"[]", b'{"v":"x"}', b"\xff", b"x" * (LIMIT + 1)):
        for method in ("GET", "HEAD"):
            assert (await send(shop, content, "thing/1", method)).status == 200
            assert (await send(shop, content, "_admin/entities", method)).status == 200
        await shop.create("thing", {})
        last = (await shop.get("thing?sort=-id&per_page=1")).data[0]["id"]
        assert (await send(shop, content, f"thing/{last}", "DELETE")).status == 200
    assert_error(await send(shop, b"{", "_admin/entities/x", "DELETE"), 404, "NOT_FOUND")
    assert await values(shop) == ["kept"]


async def test_zero_characters(unbounded):
    detail = {"field": "v", "rule": "type", "message": "v must be a valid string"}
    assert_error(await unbounded.post("thing", {"v": "a\x00"}), 422, "VALIDATION_FAILED", "Validation failed", [detail])
    unknown = {"field": "\x00", "rule": "unknown", "message": "Unknown field or relation: \x00"}
    assert_error(await unbounded.post("thing", {"\x00": 1}), 422, "VALIDATION_FAILED", "Validation failed", [unknown])
    bodies = [
        {"name": "a\x00"},
        {"name": "a", "\x00": 1},
        {"name": "a", "x": [{"y": "\x00"}]},
        {"name": "a", "x": {"\x00": 1}},
    ]
    for body in bodies:
        for path in ("_admin/entities", "_admin/relations", "/api/_platform/apps"):
            assert_error(await unbounded.post(path, body), 400, "INVALID_PAYLOAD", "Invalid JSON body", [])
        for path in ("_admin/entities/thing", "_admin/relations/nothing"):
            assert_error(await unbounded.put(path, body), 400, "INVALID_PAYLOAD", "Invalid JSON body", [])
    # A number no float can hold has no place in a definition either.
    answer = await send(unbounded, b'{"name":"a","x":1e400}', "_admin/entities")
    assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid JSON body", [])


async def test_the_limit_of_a_body(shop):
    fill = b'{"v":"' + b"x" * (LIMIT - 8) + b'"}'
    assert len(fill) == LIMIT
    assert (await send(shop, fill)).status == 201
    long = fill + b" "
    for path, method in (("thing", "POST"), ("thing/1", "PUT"), ("_admin/entities", "POST"), ("_admin/import", "POST"),
                         ("/api/_platform/apps", "POST"), ("/api/nothing/thing", "POST")):  # fmt: skip
        for kind in (JSON, "text/plain"):
            answer = await send(shop, long, path, method, type=kind)
            assert_error(answer, 413, "PAYLOAD_TOO_LARGE", TOO_LARGE, [])
    # What is announced is believed before a byte is read.
    answer = await send(shop, b"{}", Content_Length=str(LIMIT + 1))
    assert_error(answer, 413, "PAYLOAD_TOO_LARGE", TOO_LARGE, [])
    answer = await send(shop, b"{}", Content_Length="9" * 100)
    assert_error(answer, 413, "PAYLOAD_TOO_LARGE", TOO_LARGE, [])
    assert len(await values(shop)) == 2


async def test_two_ways_of_telling_the_length(shop):
    for path, method in (
        ("thing", "POST"),
        ("thing", "GET"),
        ("_admin/entities", "POST"),
        ("/health", "GET"),
        ("/nothing", "GET"),
    ):
        answer = await send(shop, b'{"v":"x"}', path, method, Content_Length="9", Transfer_Encoding="chunked")
        assert_error(answer, 400, "INVALID_PAYLOAD")
    assert await values(shop) == ["kept"]


async def stream(client, path, chunks, **headers):
    """Send a body chunk by chunk, for as long as it is asked for; the status and how many chunks were taken."""
    taken, statuses = [], []
    sent = {
        "content-type": JSON,
        "transfer-encoding": "chunked",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }

    async def receive():
        await asyncio.sleep(0)  # a socket never has everything at once
        if statuses:  # a server closes the connection of a request that was answered before its end
            return {"type": "http.disconnect"}
        taken.append(next(chunks))
        assert len(taken) < 10_000
        return {"type": "http.request", "body": taken[-1], "more_body": True}

    async def respond(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/api/shop/{path}",
        "raw_path": f"/api/shop/{path}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("x", 1),
    }
    await asyncio.wait_for(client.quart(scope, receive, respond), 10)
    return statuses, len(taken)


@pytest.mark.parametrize("path", ["thing", "_admin/entities"])
async def test_an_endless_body_is_read_up_to_the_limit(shop, path):
    def endless(chunk):
        while True:
            yield chunk

    # A few chunks may be on their way already; nothing like all of them.
    statuses, taken = await stream(shop, path, endless(b"x" * 100))
    assert statuses == [413]
    assert taken <= LIMIT / 100 + 5
    statuses, taken = await stream(shop, path, endless(b"x" * 100), content_type="text/plain")
    assert statuses == [413]
    member = gzip.compress(b"{}")
    statuses, taken = await stream(shop, path, endless(member), content_encoding="gzip")
    assert statuses[0] in (400, 413)
    assert taken <= LIMIT / len(member) + 5
    stuffing = b"\x00\x00\x00\xff\xff" * 20  # empty blocks: a compressed stream that never says anything
    start = zlib.compressobj(wbits=31)
    head = start.compress(b"{") + start.flush(zlib.Z_SYNC_FLUSH)

    def silent():
        yield head
        yield from endless(stuffing)

    statuses, taken = await stream(shop, path, silent(), content_encoding="gzip")
    assert statuses == [413]
    assert taken <= LIMIT / len(stuffing) + 5


async def test_compressed_bodies(shop):
    for encoding, content in (
        ("gzip", gzip.compress(b'{"v":"gzip"}')),
        ("GZIP", gzip.compress(b'{"v":"upper"}')),
        (" gzip ", gzip.compress(b'{"v":"blanks"}')),
        ("deflate", zlib.compress(b'{"v":"deflate"}')),
        ("identity", b'{"v":"plain"}'),
        ("gzip", b""),
        ("gzip", gzip.compress(b"")),
    ):
        assert (await send(shop, content, Content_Encoding=encoding)).status == 201, encoding
    assert await values(shop) == ["kept", "gzip", "upper", "blanks", "deflate", "plain", None, None]
    whole = gzip.compress(b'{"v":"x"}')
    refused = [
        ("gzip", b'{"v":"x"}'),
        ("gzip", whole[:-1]),
        ("gzip", whole[:-8]),
        ("gzip", whole[:15]),
        ("gzip", whole + b"x"),
        ("gzip", whole + whole),
        ("gzip", whole[:-8] + b"\x00" * 8),
        ("gzip", zlib.compress(b'{"v":"x"}')),
        ("deflate", whole),
        ("br", b'{"v":"x"}'),
        ("gzip, gzip", gzip.compress(whole)),
        ("zstd", b"x"),
    ]
    for encoding, content in refused:
        assert_error(await send(shop, content, Content_Encoding=encoding), 400, "INVALID_PAYLOAD", details=[])
    assert len(await values(shop)) == 8


async def test_a_small_body_that_unfolds_to_a_large_one(shop):
    exact = b'{"v":"' + b"x" * (LIMIT - 8) + b'"}'
    assert (await send(shop, gzip.compress(exact), Content_Encoding="gzip")).status == 201
    for bomb in (
        gzip.compress(exact + b" "),
        gzip.compress(b" " * 50_000_000),
        gzip.compress(b'{"v":"' + b"x" * 10_000_000),
    ):
        answer = await send(shop, bomb, Content_Encoding="gzip")
        assert_error(answer, 413, "PAYLOAD_TOO_LARGE", TOO_LARGE, [])
    assert len(await values(shop)) == 2
