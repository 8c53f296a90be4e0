"""Routes, the order of processing, headers, envelopes and CORS: contract §1.2, §1.3, §1.5, §2.2."""

import re

import pytest

from rocket_kernel.hookspecs import hookimpl
from rocket_kernel.plugins import Plugin
from rocket_kernel.testing import ADMIN, Actors, assert_error, entity

# Nothing here reaches a database that could answer differently.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TRACE = "0af76519-16cd-43dd-8448-eb211c80319c"
COLLECTION = "GET, HEAD, OPTIONS, POST"
RECORD = "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
ONE = "DELETE, GET, HEAD, OPTIONS, PUT"
READ = "GET, HEAD, OPTIONS"


@pytest.fixture
async def shop(client):
    await client.define(entity("thing", {"primary_key": {"field": "id"}}, id="string"))
    await client.create("thing", {"id": "x"})
    return client


async def test_fixed_segments_have_no_case_and_names_do(shop):
    for path in ("/HEALTH", "/Ready", "/API/_Platform/APPS", "/api/_PLATFORM/apps/shop", "/Api/shop/_Admin/ENTITIES/thing",
                 "/API/shop/thing", "/aPi/shop/thing/x", "/api/shop/_ADMIN/Export", "/api/shop/_admin/AI/Status"):  # fmt: skip
        assert (await shop.get(path)).status == 200, path
    cases = {
        "/api/Shop/thing": ("APP_NOT_FOUND", "App not found: Shop"),
        "/api/shop/Thing": ("UNKNOWN_ENTITY", "Unknown entity: Thing"),
        "/api/shop/thing/X": ("NOT_FOUND", "thing with id X not found"),
        "/api/shop/_admin/entities/Thing": ("NOT_FOUND", "Entity not found: Thing"),
        "/api/_platform/apps/Shop": ("NOT_FOUND", "App not found: Shop"),
    }
    for path, (code, message) in cases.items():
        assert_error(await shop.get(path), 404, code, message, [])


async def test_one_trailing_slash_is_ignored(shop):
    paths = ["/health", "/api/_platform/apps", "/api/_platform/apps/shop", "/api/shop/_admin/entities/thing", "/api/shop/thing",
             "/api/shop/thing/x"]  # fmt: skip
    for path in paths:
        assert (await shop.get(path)).status == 200, path
        assert (await shop.get(f"{path}/")).status == 200, path
        for wrong in (f"{path}//", f"/{path}", f"{path}/ /"):
            assert (await shop.get(wrong)).status == 404, wrong
    for path in ("/api/shop/thing//", "//health", "/health//", "/api//thing"):
        assert_error(await shop.get(path), 404, "NOT_FOUND", "Route not found", [])


async def test_paths_that_no_row_matches(shop):
    for path in ("/", "/x", "/healthz", "/api", "/api/", "/api/shop", "/api/shop/", "/api/shop/thing/x/y", "/api/shop/thing/x/y/z",
                 "/api/_platform", "/api/_platform/apps/shop/x", "/api/shop/_admin/entities/thing/x", "/favicon.ico",
                 "/api/shop/thing/x/_transitions", "/api/shop/thing/x/_history", "/static/x", "/..", "/x/../health"):  # fmt: skip
        for method in ("GET", "POST", "OPTIONS", "TRACE"):
            assert_error(await shop.request(method, path), 404, "NOT_FOUND", "Route not found", [])


async def test_paths_of_another_form_are_those_of_entities(shop):
    unknown_entity = {
        "/api/shop/nothing": "nothing",
        "/api/shop/nothing/x": "nothing",
        "/api/shop/_admin": "_admin",
        "/api/shop/_admin/nonsense": "_admin",
        "/api/shop/_ADMIN/nonsense": "_ADMIN",
        # Routes of plugins that are not there.
        "/api/shop/_admin/users": "_admin",
        "/api/shop/_admin/rules": "_admin",
        "/api/shop/_workflows": "_workflows",
        "/api/shop/_files": "_files",
        "/api/shop/auth/me": "auth",
        "/api/shop/_ui/configs": "_ui",
        "/api/shop/_entities": "_entities",
        "/api/shop/thing%2Fx": "thing/x",
        "/api/shop/%00": "\x00",
        "/api/shop/th%FFing": "th\ufffding",
    }
    for path, name in unknown_entity.items():
        assert_error(await shop.get(path), 404, "UNKNOWN_ENTITY", f"Unknown entity: {name}", [])
    unknown_app = {
        "/api/_platform/nonsense": "_platform",
        "/api/_platform/nonsense/x": "_platform",
        "/api/_platform/users": "_platform",
        "/api/_PLATFORM/nonsense": "_PLATFORM",
        "/api/nothing/thing": "nothing",
        "/api/nothing/_admin/entities": "nothing",
        "/api/a%2Fb/thing": "a/b",
        "/api/../thing": "..",
        "/api/%00/thing": "\x00",
        "/api/" + "a" * 57 + "/thing": "a" * 57,
        "/api/shop'/thing": "shop'",
        "/api/rocket/thing": "rocket",
        "/api/shop /thing": "shop ",
    }
    for path, name in unknown_app.items():
        assert_error(await shop.get(path), 404, "APP_NOT_FOUND", f"App not found: {name}", [])


async def test_other_methods_are_told_those_that_are_allowed(shop):
    cases = [
        ("/health", READ, ("POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")),
        ("/ready", READ, ("POST", "DELETE")),
        ("/api/_platform/apps", COLLECTION, ("PUT", "PATCH", "DELETE")),
        ("/api/_platform/apps/shop", "DELETE, GET, HEAD, OPTIONS", ("POST", "PUT", "PATCH")),
        ("/api/_platform/apps/nothing", "DELETE, GET, HEAD, OPTIONS", ("PUT",)),
        ("/api/shop/_admin/entities", COLLECTION, ("PUT", "PATCH", "DELETE")),
        ("/api/shop/_admin/relations/x", ONE, ("POST", "PATCH")),
        ("/api/shop/_admin/export", READ, ("POST", "DELETE")),
        ("/api/shop/_admin/import", "OPTIONS, POST", ("GET", "HEAD", "PUT")),
        ("/api/shop/_admin/ai/generate", "OPTIONS, POST", ("GET", "DELETE")),
        ("/api/shop/thing", COLLECTION, ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")),
        ("/api/shop/thing/x", RECORD, ("POST", "TRACE")),
        ("/api/shop/_admin/nonsense", RECORD, ("POST",)),
        # The route is found before the app is looked at.
        ("/api/nothing/thing", COLLECTION, ("DELETE",)),
    ]
    for path, allowed, methods in cases:
        for method in methods:
            answer = await shop.request(method, path)
            if method == "HEAD":
                assert (answer.status, answer.body) == (405, b"")
            else:
                assert_error(answer, 405, "METHOD_NOT_ALLOWED", "Method not allowed", [])
            assert answer.headers.getlist("Allow") == [allowed], (method, path)
        answer = await shop.request("OPTIONS", path)
        assert (answer.status, answer.body) == (204, b""), path
        assert answer.headers.getlist("Allow") == [allowed], path
    assert (await shop.get("thing/x")).status == 200


async def test_head_is_accepted_wherever_get_is(shop):
    for path in ("/health", "/ready", "/api/_platform/apps", "/api/_platform/apps/shop", "/api/shop/_admin/entities",
                 "/api/shop/_admin/entities/thing", "/api/shop/_admin/export", "/api/shop/thing", "/api/shop/thing/x",
                 "/api/shop/thing/y", "/api/shop/nothing", "/api/_platform/ai/status", "/nothing"):  # fmt: skip
        got, head = await shop.get(path), await shop.request("HEAD", path)
        assert (head.status, head.body) == (got.status, b""), path
        assert head.headers["Content-Type"] == got.headers["Content-Type"]


async def test_nothing_overrides_the_method(shop):
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        (await shop.post("thing?_method=DELETE", {"id": header}, headers={header: "DELETE"})).require(201)
        (await shop.get("thing/x?_method=DELETE&method=DELETE", headers={header: "DELETE"})).require(200)
    assert (await shop.get("thing")).meta["total"] == 4


async def test_the_ai_routes_say_that_there_is_none(shop):
    for path in ("/api/_platform/ai/status", "_admin/ai/status"):
        assert (await shop.get(path)).require(200).text == '{"data":{"configured":false,"model":""}}'
    answer = await shop.post("_admin/ai/generate", {"prompt": "x"})
    assert_error(answer, 501, "NOT_CONFIGURED", "AI generation is not configured", [])


async def test_one_check_after_the_other(start_kernel):
    """Each line has all the faults of the lines below it."""
    running = await start_kernel(
        [Actors], settings={"actors": {"default": None}}, config={"server.max_body_bytes": 1000}
    )
    admin = running.client.as_actor(ADMIN)
    await admin.app("shop")
    await admin.in_app("shop").define(entity("thing", n="int!"))
    nobody, long, bad = running.client, b"[" * 1001, b"["
    user = admin.with_headers({"X-Test-Actor": "u1;clerk"})
    for caller, method, path, content, status, code, message in [
        (nobody, "POST", "/api/x/y/z/0", long, 404, "NOT_FOUND", "Route not found"),
        (nobody, "PUT", "/api/nothing/thing", long, 405, "METHOD_NOT_ALLOWED", "Method not allowed"),
        (
            nobody,
            "POST",
            "/api/nothing/thing",
            long,
            413,
            "PAYLOAD_TOO_LARGE",
            "Request body too large (max 1000 bytes)",
        ),
        (nobody, "POST", "/api/nothing/thing", bad, 400, "INVALID_PAYLOAD", "Invalid JSON body"),
        (nobody, "POST", "/api/nothing/thing", b"[]", 400, "INVALID_PAYLOAD", "object expected"),
        (nobody, "POST", "/api/nothing/nothing", b"", 404, "APP_NOT_FOUND", "App not found: nothing"),
        (user, "POST", "/api/nothing/nothing", b"", 404, "APP_NOT_FOUND", "App not found: nothing"),
        (nobody, "POST", "/api/shop/nothing", b"", 401, "UNAUTHORIZED", "Missing auth token"),
        (nobody, "GET", "/api/shop/thing?sort=x", b"", 401, "UNAUTHORIZED", "Missing auth token"),
        (nobody, "POST", "/api/shop/_admin/entities", b"", 401, "UNAUTHORIZED", "Missing auth token"),
        (nobody, "GET", "/api/shop/_admin/nonsense", b"", 401, "UNAUTHORIZED", "Missing auth token"),
        (nobody, "POST", "/api/_platform/apps", b"", 401, "UNAUTHORIZED", "Missing auth token"),
        (user, "POST", "/api/shop/_admin/entities", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "POST", "/api/shop/_admin/entities", bad, 400, "INVALID_PAYLOAD", "Invalid JSON body"),
        (user, "DELETE", "/api/shop/_admin/entities/nothing", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "GET", "/api/shop/_admin/nonsense", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "GET", "/api/shop/_Admin/nonsense", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "GET", "/api/shop/_admin", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "POST", "/api/shop/_admin/ai/generate", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "GET", "/api/_platform/apps", b"", 403, "FORBIDDEN", "Admin access required"),
        (user, "POST", "/api/_platform/apps", b"", 403, "FORBIDDEN", "Admin access required"),
        (admin, "GET", "/api/shop/_admin/nonsense", b"", 404, "UNKNOWN_ENTITY", "Unknown entity: _admin"),
        (admin, "POST", "/api/_platform/apps", b"", 422, "VALIDATION_FAILED", "App name is required"),
        (admin, "POST", "/api/shop/nothing", b"", 404, "UNKNOWN_ENTITY", "Unknown entity: nothing"),
        (admin, "POST", "/api/shop/thing", b"", 422, "VALIDATION_FAILED", "Validation failed"),
    ]:
        answer = await caller.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert_error(answer, status, code, message)
    for path in ("/health", "/ready"):
        assert (await nobody.get(path)).require(200).text == '{"status":"ok"}'
    for path in ("/api/shop/thing", "/api/shop/_admin/entities", "/api/_platform/apps"):
        assert (await nobody.request("OPTIONS", path)).status == 204
    # The app's own admin is no admin of the platform, and its role says nothing about case.
    app_admin = admin.with_headers({"X-Test-Actor": "u2;Admin"})
    assert (await app_admin.get("/api/shop/_admin/export")).status == 200
    assert_error(await app_admin.get("/api/_platform/apps"), 403, "FORBIDDEN", "Admin access required")


class Faulty(Plugin):
    """Fails where it is asked to."""

    name = "faulty"
    version = "1"

    @hookimpl
    async def on_request(self, request):
        if "x-fail" in request.headers:
            raise RuntimeError("SELECT secret FROM users")


async def test_a_defect_shows_nothing_of_itself(start_kernel):
    client = await (await start_kernel([Faulty])).client.app("shop")
    for path in ("/health", "/api/shop/thing", "/api/shop/_admin/entities"):
        answer = await client.get(path, headers={"X-Fail": "1"})
        assert_error(answer, 500, "INTERNAL_ERROR", "Internal server error", [])
        assert answer.text == '{"error":{"code":"INTERNAL_ERROR","message":"Internal server error"}}'
        assert UUID.fullmatch(answer.headers["X-Trace-ID"])


async def test_headers_of_every_answer(shop):
    for method, path in [("GET", "/health"), ("GET", "/nothing"), ("POST", "/health"), ("GET", "/api/x/y"), ("GET", "thing"),
                         ("GET", "thing/x"), ("GET", "thing?sort=x"), ("POST", "thing"), ("DELETE", "thing/y"), ("HEAD", "thing"),
                         ("GET", "_admin/entities"), ("GET", "/api/_platform/apps"), ("OPTIONS", "thing"), ("OPTIONS", "/x")]:  # fmt: skip
        answer = await shop.request(method, path)
        (trace,) = answer.headers.getlist("X-Trace-ID")
        assert UUID.fullmatch(trace), path
        bodiless = answer.status == 204
        for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")):
            assert answer.headers.getlist(name) == ([] if bodiless else [value]), path
        if not bodiless:
            assert answer.headers.getlist("Content-Type") == ["application/json; charset=utf-8"], path
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
        assert "Set-Cookie" not in answer.headers
    first, second = [(await shop.get("thing")).headers["X-Trace-ID"] for _ in range(2)]
    assert first != second


async def test_trace_ids(shop):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    taken = [
        {"X-Trace-ID": TRACE},
        {"X-Trace-ID": TRACE.upper()},
        {"x-trace-id": f" {TRACE} "},
        {"traceparent": parent},
        {"traceparent": f"{parent.replace('00-', 'cc-', 1)}-more"},
        {"X-Trace-ID": TRACE, "traceparent": parent.replace("0af7", "ffff")},
        {"X-Trace-ID": "nonsense", "traceparent": parent},
    ]
    for headers in taken:
        for path in ("/health", "thing", "/nothing", "thing?sort=x"):
            assert (await shop.get(path, headers=headers)).headers["X-Trace-ID"] == TRACE, headers
    ignored = [
        {"X-Trace-ID": TRACE.replace("-", "")},
        {"X-Trace-ID": f"{TRACE}0"},
        {"X-Trace-ID": "'; drop table x"},
        {"X-Trace-ID": ""},
        {"traceparent": parent.upper()},
        {"traceparent": parent.replace("00-", "ff-", 1)},
        {"traceparent": f"{parent}-more"},
        {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"},
        {"traceparent": parent.replace("b7ad6b7169203331", "0" * 16)},
        {"traceparent": parent[:-1]},
    ]
    for headers in ignored:
        found = (await shop.get("thing", headers=headers)).headers["X-Trace-ID"]
        assert UUID.fullmatch(found), headers
        assert found != TRACE, headers


ORIGINS = ["https://good.example", "http://localhost:3000"]


async def cors(client, origin, method="GET", path="thing", **headers):
    sent = {"Origin": origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
    answer = await client.request(method, path, headers=sent)
    found = {name.lower(): value for name, value in answer.headers if name.lower().startswith("access-control")}
    return answer, found


async def test_without_origins_there_is_no_cors(shop):
    for method, more in (("GET", {}), ("OPTIONS", {"Access_Control_Request_Method": "POST"})):
        for origin in ("https://good.example", "null", "*"):
            _, found = await cors(shop, origin, method, **more)
            assert found == {}


async def test_origins_are_compared_exactly(start_kernel):
    client = await (await start_kernel(config={"server.cors_origins": ORIGINS})).client.app("shop")
    await client.define(entity("thing"))
    for origin in ORIGINS:
        for path in ("thing", "thing/x", "/nothing", "/health", "_admin/entities", "thing?sort=x"):
            answer, found = await cors(client, origin, path=path)
            assert found["access-control-allow-origin"] == origin
            assert "access-control-allow-credentials" not in found
            assert answer.headers["Vary"] == "Origin"
            assert {"ETag", "X-Trace-ID"} <= {
                name.strip() for name in found["access-control-expose-headers"].split(",")
            }
    for origin in ("https://good.example.evil", "http://good.example", "https://GOOD.example", "https://good.example:443",
                   "https://good.example/", "null", "*", "", "http://localhost", "https://good.example, x"):  # fmt: skip
        answer, found = await cors(client, origin)
        assert (found, answer.status, answer.headers["Vary"]) == ({}, 200, "Origin"), origin
        answer, found = await cors(client, origin, "OPTIONS", Access_Control_Request_Method="POST")
        assert (found, answer.status) == ({}, 204), origin
    assert (await client.get("thing")).headers["Vary"] == "Origin"


async def test_options_is_the_preflight(start_kernel):
    client = await (await start_kernel(config={"server.cors_origins": ORIGINS})).client.app("shop")
    asked = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "content-type, if-match"}
    answer, found = await cors(client, ORIGINS[0], "OPTIONS", "thing/x", **asked)
    assert (answer.status, answer.body, answer.headers["Allow"]) == (204, b"", RECORD)
    assert found["access-control-allow-origin"] == ORIGINS[0]
    assert found["access-control-allow-methods"] == RECORD
    assert found["access-control-allow-headers"] == "content-type, if-match"
    assert "access-control-allow-credentials" not in found
    _, found = await cors(client, ORIGINS[0], "OPTIONS", "thing/x")
    assert "access-control-allow-methods" not in found
    answer, found = await cors(client, ORIGINS[0], "OPTIONS", "/x", **asked)
    assert answer.status == 404


async def test_any_origin_never_comes_with_credentials(start_kernel):
    client = await (await start_kernel(config={"server.cors_origins": ["*"]})).client.app("shop")
    for method, path in (("GET", "/health"), ("OPTIONS", "/health")):
        _, found = await cors(client, "https://any.example", method, path, Access_Control_Request_Method="GET")
        assert found["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in found
