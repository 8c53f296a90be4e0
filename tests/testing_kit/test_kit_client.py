import pytest

from rocket_kernel import Plugin, hookimpl
from rocket_kernel.actor import Actor
from rocket_kernel.http.messages import json_response
from rocket_kernel.http.router import AccessClass, BodyMode, Route
from rocket_kernel.testing import ADMIN, Actors, Client, entity, one_to_many

BOOK = entity("book", title="string!", price="decimal:2")


class Mirror(Plugin):
    """Answers with the request as it arrived."""

    name = "mirror"

    @hookimpl
    def register_routes(self):
        return [
            Route(method=method, path=path, access=access, handler=self.mirror, body=BodyMode.STREAM)
            for method in ("GET", "POST")
            for path, access in (
                ("/mirror/:name", AccessClass.PUBLIC),
                ("/api/:app/_mirror/:name", AccessClass.AUTHENTICATED),
            )
        ]

    async def mirror(self, request):
        body = b"".join([chunk async for chunk in request.stream])
        return json_response(
            {
                "path": request.path,
                "name": request.params["name"],
                "query": request.query_string,
                "headers": dict(request.headers),
                "peer": request.peer,
                "body": body.decode("latin-1"),
                "actor": {"id": request.actor.id, "email": request.actor.email, "roles": sorted(request.actor.roles)},
                "platform": request.actor.platform,
            },
            headers={"X-Mixed-Case": "yes"},
        )


@pytest.fixture
async def mirror(start_kernel):
    return (await start_kernel([Mirror])).client


async def test_paths_without_a_slash_belong_to_the_app(client):
    await client.define(BOOK)
    made = await client.create("book", {"title": "Emma", "price": "9.5"})
    assert made["price"] == "9.50"
    relative, absolute = await client.get("book"), await client.get("/api/shop/book")
    assert relative.data == absolute.data == [made]
    assert relative.meta["total"] == 1


async def test_every_method(client):
    await client.define(BOOK)
    made = (await client.post("book", {"title": "Emma"})).require(201).data
    path = f"book/{made['id']}"
    assert (await client.put(path, {"title": "Persuasion"})).data["title"] == "Persuasion"
    assert (await client.patch(path, json={"title": "Emma"})).data["title"] == "Emma"
    got, head = await client.get(path), await client.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"] == str(len(got.body))
    assert "Content-Length" not in (await client.request("OPTIONS", path)).require(204).headers
    assert (await client.delete(path)).data == {"id": made["id"]}
    assert (await client.get(path)).error["code"] == "NOT_FOUND"


async def test_a_client_without_an_app_takes_absolute_paths_only(running):
    assert (await running.client.get("/health")).json == {"status": "ok"}
    with pytest.raises(ValueError, match="bound to none"):
        await running.client.get("book")


async def test_shortcuts_say_what_was_refused(client):
    await client.define(BOOK)
    with pytest.raises(AssertionError, match=r"expected 201 from POST _admin/entities: 409 .*already exists"):
        await client.define(BOOK)
    with pytest.raises(AssertionError, match="source entity not found"):
        await client.relate(one_to_many("lines", "order", "book"))
    with pytest.raises(AssertionError, match="title is required"):
        await client.create("book", {})
    with pytest.raises(AssertionError, match="App already exists"):
        await client.app("shop")


async def test_the_answer_tells_what_is_missing(client):
    await client.define(BOOK)
    listed = await client.get("book")
    with pytest.raises(AssertionError, match=r"no 'error' in the body of GET book: 200"):
        listed.error  # noqa: B018
    refused = await client.get("nonsense")
    with pytest.raises(AssertionError, match="no 'data' in the body of GET nonsense: 404"):
        refused.data  # noqa: B018
    assert refused.headers["x-trace-id"] == refused.headers["X-Trace-ID"]


async def test_the_request_arrives_as_it_is_written(mirror):
    seen = (await mirror.get("/mirror/a%2Fb ü?q=1&x=%3D", params={"filter[a]": "b c"}, headers={"X-One": "1"})).json
    assert seen["name"] == "a/b ü"
    assert seen["query"] == "q=1&x=%3D&filter%5Ba%5D=b+c"
    assert seen["headers"]["x-one"] == "1"
    assert seen["peer"] == "127.0.0.1"
    assert "content-length" not in seen["headers"]


async def test_bodies(mirror):
    as_json = (await mirror.post("/mirror/x", {"ä": None})).json
    assert as_json["body"].encode("latin-1").decode() == '{"ä": null}'
    assert as_json["headers"]["content-type"] == "application/json"
    assert as_json["headers"]["content-length"] == "12"
    null = (await mirror.post("/mirror/x", None)).json
    assert null["body"] == "null"
    raw = (await mirror.post("/mirror/x", content=b"\xff{", headers={"Content-Type": "text/plain"})).json
    assert (raw["body"], raw["headers"]["content-type"]) == ("\xff{", "text/plain")
    chunked = (await mirror.post("/mirror/x", content=b"a", headers={"Transfer-Encoding": "chunked"})).json
    assert "content-length" not in chunked["headers"]
    none = (await mirror.post("/mirror/x")).json
    assert none["body"] == ""
    assert "content-type" not in none["headers"]
    with pytest.raises(ValueError, match="not both"):
        await mirror.post("/mirror/x", {}, content=b"")


async def test_headers_of_the_client_and_of_the_request(mirror):
    client = mirror.with_headers({"X-One": "1", "X-Two": "2"})
    seen = (await client.get("/mirror/x", headers=[("x-two", "3")])).json["headers"]
    assert (seen["x-one"], seen["x-two"]) == ("1", "3")


async def test_a_caller_is_named(start_kernel):
    running = await start_kernel([Actors, Mirror])
    client = await running.client.app("shop")
    actor = Actor(id="7;,", email="é@example.com", roles=frozenset({"clerk", "night shift"}), platform=True)
    seen = (await client.as_actor(actor).get("_mirror/x")).json
    assert seen["actor"] == {"id": "7;,", "email": "é@example.com", "roles": ["clerk", "night shift"]}
    assert seen["platform"] is True
    plain = (await client.get("_mirror/x", headers={"X-Test-Actor": "7;Clerk,boss"})).json
    assert plain["actor"] == {"id": "7", "email": None, "roles": ["boss", "clerk"]}
    assert plain["platform"] is False


async def test_without_the_header_the_caller_is_an_admin_or_refused(start_kernel):
    running = await start_kernel([Actors, Mirror])
    client = await running.client.app("shop")
    assert (await client.get("_mirror/x")).json["actor"]["id"] == ADMIN.id
    strict = (await start_kernel([Actors, Mirror], settings={"actors": {"default": None}})).client.in_app("shop")
    assert (await strict.get("_mirror/x")).status == 401
    assert (await strict.as_actor(ADMIN).get("_mirror/x")).status == 200
    clerk = (await start_kernel([Actors], settings={"actors": {"default": "1;clerk"}})).client.in_app("shop")
    assert (await clerk.get("_admin/rules")).status == 403


async def test_naming_a_caller_needs_the_plugin(client):
    with pytest.raises(RuntimeError, match="needs the plugin"):
        client.as_actor(ADMIN)


async def test_it_is_the_whole_application(client):
    @client.quart.get("/own")
    async def own():
        return "mine"

    assert (await client.get("/own")).text == "mine"
    assert client.quart.testing is False
    assert isinstance(client, Client)
