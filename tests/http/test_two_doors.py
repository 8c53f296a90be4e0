"""The plain Quart door and the data lane answer byte-identically, headers included."""

import asyncio
import gzip
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
import quart

from rocket_kernel import Actor, Plugin, create_app, hookimpl
from rocket_kernel.errors import Forbidden, RateLimited
from rocket_kernel.http.messages import json_response
from rocket_kernel.query.access import OPEN, ReadGrant
from rocket_kernel.testing import Actors, entity, many_to_many, one_to_many
from rocket_kernel.testing.actors import actor_header
from rocket_kernel.time_limit import TimeLimit

TRACE = "12345678-90ab-4cde-8f01-234567890abc"
ORIGIN = "https://shop.example"
CLERK = ("X-Test-Actor", actor_header(Actor(id="c", email=None, roles=frozenset({"clerk"}))))
JSON = ("Content-Type", "application/json")
_MS = re.compile(rb'"ms":[0-9.e-]+')


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it travels."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = (b"",)
    ends: bool = True
    scope: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers)} {b''.join(self.chunks)[:60]!r}"


@dataclass(frozen=True, slots=True)
class Got:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """In the order of their names; which of two headers comes first means nothing."""
    body: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:300]!r}"


async def ask(app, sent: Sent) -> Got:
    """Through the application's ASGI interface, as a server calls it."""
    path, _, query = sent.target.partition("?")
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.headers]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "http",
        "path": _decoded(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"x-trace-id", TRACE.encode()), *headers],
        "client": ("127.0.0.1", 40000),
        "server": ("localhost", 80),
        "extensions": {},
        **sent.scope,
    }
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number < len(sent.chunks) or not sent.ends}
        for number, chunk in enumerate(sent.chunks, 1)
    ]
    messages: list[dict[str, Any]] = []
    answered = asyncio.Event()

    async def receive():
        if not waiting:
            await answered.wait()  # the other end stays there until it has its answer
            return {"type": "http.disconnect"}
        return waiting.pop(0)

    async def send(message):
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            answered.set()

    await app(scope, receive, send)
    start, *bodies = messages
    assert start["type"] == "http.response.start"
    assert not bodies[-1].get("more_body", False)
    body = b"".join(message.get("body", b"") for message in bodies)
    return Got(start["status"], tuple(sorted(map(tuple, start["headers"]))), body)


def _decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace")


def post(target, body, *headers):
    return Sent("POST", target, (JSON, *headers), (json.dumps(body).encode(),))


def put(target, body, *headers):
    return replace(post(target, body, *headers), method="PUT")


class Picky(Plugin):
    """Answers early, fails late, refuses, hides a field: everything a participant can do to an answer."""

    name = "picky"

    @hookimpl
    async def on_request(self, request):
        mood = request.headers.get("x-mood")
        if mood == "early":
            return json_response({"data": "early"}, 203)
        if mood == "busy":
            raise RateLimited(retry_after=7)
        if mood == "broken":
            raise ZeroDivisionError
        return None

    @hookimpl
    async def on_response(self, request, response):
        response.headers["X-Picky"] = f"{request.method} {request.params.get('entity')} {request.head}"
        if request.headers.get("x-mood") == "late":
            raise Forbidden("too late")
        if request.headers.get("x-mood") == "very late":
            raise ZeroDivisionError

    @hookimpl
    def compile_read_policy(self, entity, model):
        return _Policy()


class _Policy:
    def grant(self, actor):
        return OPEN if actor.is_admin else ReadGrant(visible=lambda record: frozenset(record) - {"price"})


READS = [
    Sent("GET", "/api/shop/book"),
    Sent("GET", "/api/shop/book/"),
    Sent("GET", "/api/shop/book?per_page=2&page=2&sort=-title"),
    Sent("GET", "/api/shop/book?filter[title.like]=%25m%25&include=reviews,tags&fields=title"),
    Sent("GET", "/api/shop/book?filter%5Bpages%5D=3"),
    Sent("GET", "/api/shop/book?filter[nonsense]=1"),
    Sent("GET", "/api/shop/book?filter[pages.gt]=x"),
    Sent("GET", "/api/shop/book?sort=nonsense"),
    Sent("GET", "/api/shop/book?include=nonsense"),
    Sent("GET", "/api/shop/book?x=%ff"),
    Sent("GET", "/api/shop/book?x=%00"),
    Sent("GET", "/api/shop/book?" + "&".join(f"a{number}=1" for number in range(1001))),
    Sent("GET", "/api/shop/book?" + "&".join(f"filter[pages.gt]={number}" for number in range(60))),
    Sent("GET", "/api/shop/book", (CLERK,)),
    Sent("GET", "/api/shop/book?filter[price]=1", (CLERK,)),
    Sent("GET", "/api/shop/book/1"),
    Sent("GET", "/api/shop/book/1/"),
    Sent("GET", "/api/shop/book/1?include=reviews,tags"),
    Sent("GET", "/api/shop/book/1?fields=title"),
    Sent("GET", "/api/shop/book/1?fields=nonsense"),
    Sent("GET", "/api/shop/book/1", (CLERK,)),
    Sent("GET", "/api/shop/book/emma"),
    Sent("GET", "/api/shop/book/%65mma"),
    Sent("GET", "/api/shop/book/%C3%A9"),
    Sent("GET", "/api/shop/book/%ff"),
    Sent("GET", "/api/shop/book/a%2Fb"),
    Sent("GET", "/api/shop/book/%00"),
    Sent("GET", "/api/shop/book/%0A"),
    Sent("GET", "/api/shop/book/4711"),
    Sent("GET", "/api/shop/book/" + "9" * 400),
    Sent("GET", "/api/shop/book/1", (("If-None-Match", "*"),)),
    Sent("HEAD", "/api/shop/book/1"),
    Sent("HEAD", "/api/shop/book"),
    Sent("GET", "/api/shop/Book"),
    Sent("GET", "/api/shop/nothing"),
    Sent("GET", "/api/shop/nothing/1"),
    Sent("GET", "/api/shop/_admin"),
    Sent("GET", "/api/shop/_admin/entities"),
    Sent("GET", "/api/shop/_idempotency"),
    Sent("GET", "/api/shop/auth/me"),
    Sent("GET", "/api/SHOP/book"),
    Sent("GET", "/api/nowhere/book"),
    Sent("GET", "/api/sh%6Fp/book"),
    Sent("GET", "/API/shop/book"),
    Sent("GET", "/api/shop"),
    Sent("GET", "/api//book"),
    Sent("GET", "/api/shop//1"),
    Sent("GET", "/api/shop/book/1/x"),
    Sent("GET", "//api/shop/book"),
    Sent("GET", "/api/shop/book//"),
    Sent("OPTIONS", "/api/shop/book/1"),
    Sent("OPTIONS", "/api/shop/book/1", (("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT"))),
    Sent("GET", "/api/shop/book/1", (("Origin", ORIGIN),)),
    Sent("GET", "/api/shop/nothing", (("Origin", ORIGIN),)),
    Sent("GET", "/api/shop/book/1", (("Origin", "https://other.example"),)),
    Sent("GET", "/api/shop/book", (("X-Mood", "early"),)),
    Sent("GET", "/api/shop/book", (("X-Mood", "busy"),)),
    Sent("GET", "/api/shop/book", (("X-Mood", "broken"),)),
    Sent("GET", "/api/shop/book", (("X-Mood", "late"),)),
    Sent("GET", "/api/shop/nothing", (("X-Mood", "very late"),)),
    Sent("GET", "/api/shop/book", (("X-Mood", "late"), ("X-Mood", "early"))),
    Sent("GET", "/api/shop/book", (("Content-Length", "3"),), (b"{x}",)),
    Sent("GET", "/api/shop/book", (("Content-Length", "3"), ("Transfer-Encoding", "chunked")), (b"{x}",)),
    Sent("GET", "/api/shop/book", (("X-Test-Actor", ""),)),
    Sent("GET", "/api/shop/book", (("X-HTTP-Method-Override", "DELETE"),)),
    Sent("PATCH", "/api/shop/book"),
    Sent("DELETE", "/api/shop/book"),
    Sent("POST", "/api/shop/book/1"),
    Sent("TRACE", "/api/shop/book/1"),
    Sent("PROPFIND", "/api/shop/book"),
    Sent("GET", "/api/shop/book/1", scope={"root_path": "/mounted"}),
    Sent("GET", "/api/shop/book/1", scope={"raw_path": b""}),
    Sent("GET", "/api/shop/book/1", scope={"client": None}),
    Sent("GET", "/api/shop/book/1", scope={"http_version": "2"}),
]

DEEP = b'{"more":' + b"[" * 70 + b"]" * 70 + b"}"

WRITES = [
    post("/api/shop/book", {"title": "Persuasion", "price": 3.5, "reviews": [{"stars": 2}], "tags": [{"label": "x"}]}),
    post("/api/shop/book/", {"title": "Trailing"}),
    post("/api/shop/book", {"title": "By clerk", "price": 3.5}, CLERK),
    post("/api/shop/book", {}),
    post("/api/shop/book", {"title": "Emma"}),
    post("/api/shop/book", {"title": "x", "nonsense": 1, "reviews": [1]}),
    post("/api/shop/book", {"title": "x", "reviews": [{}]}),
    post("/api/shop/nothing", {}),
    post("/api/nowhere/book", {}),
    Sent("POST", "/api/shop/book", (JSON,), (b"{",)),
    Sent("POST", "/api/shop/book", (JSON,), (b"[1]",)),
    Sent("POST", "/api/shop/book", (JSON,), (b"null",)),
    Sent("POST", "/api/shop/book", (JSON,), (b'{"title":"\xff"}',)),
    Sent("POST", "/api/shop/book", (JSON,), (b'{"title":"\\ud800"}',)),
    Sent("POST", "/api/shop/book", (JSON,), (b'{"title":NaN}',)),
    Sent("POST", "/api/shop/book", (JSON,), (DEEP,)),
    Sent("POST", "/api/nowhere/book", (JSON,), (b"{",)),
    Sent("POST", "/api/shop/book", (JSON,), (b'{"title":', b'"In ', b'pieces"}', b"")),
    Sent("POST", "/api/shop/book", (("Content-Type", "text/plain"),), (b'{"title":"x"}',)),
    Sent("POST", "/api/shop/book", (("Content-Type", "application/x+json; charset=utf-8"),), (b'{"title":"suffix"}',)),
    Sent("POST", "/api/shop/book", (), (b'{"title":"untyped"}',)),
    Sent(
        "POST", "/api/shop/book", (JSON, ("Content-Encoding", "gzip")), (gzip.compress(b'{"title":"small"}', mtime=0),)
    ),
    Sent("POST", "/api/shop/book", (JSON, ("Content-Encoding", "gzip")), (gzip.compress(b" " * 9999, mtime=0),)),
    Sent("POST", "/api/shop/book", (JSON, ("Content-Encoding", "br")), (b"x",)),
    Sent("POST", "/api/shop/book", (JSON, ("Content-Length", "99999")), (b"{}",)),
    Sent("POST", "/api/shop/book", (JSON,), (b" " * 3000, b" " * 3000)),
    Sent("POST", "/api/shop/book", (JSON, ("Content-Length", "2"), ("Transfer-Encoding", "chunked")), (b"{}",)),
    post("/api/shop/book", {"title": "Keyed"}, ("Idempotency-Key", "k1")),
    post("/api/shop/book", {"title": "Keyed"}, ("Idempotency-Key", "k1")),
    post("/api/shop/book", {"title": "Other"}, ("Idempotency-Key", "k1")),
    post("/api/shop/book", {"title": "Other"}, ("Idempotency-Key", "a b")),
    post("/api/shop/book", {"title": "Other"}, ("Idempotency-Key", "\xe4")),
    post("/api/shop/book?explain=true", {"title": "Only thought of", "reviews": [{"stars": 1}]}),
    post("/api/shop/book?explain=true", {"pages": "x"}),
    post("/api/shop/book?explain=true", {"title": "Only thought of"}, CLERK),
    post("/api/shop/book?explain=perhaps", {"title": "Only thought of"}),
    put("/api/shop/book/1?explain=true", {"pages": 4}),
    Sent("DELETE", "/api/shop/book/1?explain=true"),
    put("/api/shop/book/1", {"pages": 4}),
    put("/api/shop/book/1", {}),
    put("/api/shop/book/emma", {"pages": 5}, CLERK),
    put("/api/shop/book/1", {"pages": "x"}),
    put("/api/shop/book/1", {"pages": 6}, ("If-Match", '"stale"')),
    put("/api/shop/book/1", {"pages": 6}, ("If-Match", "*")),
    put("/api/shop/book/4711", {"pages": 6}),
    replace(put("/api/shop/book/1", {"more": {"b": [1.5, 1e300], "a": "ä"}}), method="PATCH"),
    Sent("PUT", "/api/shop/book/1"),
    Sent("PUT", "/api/shop/book/1", (("Origin", ORIGIN),)),
    post("/api/shop/book", {"title": "x"}, ("X-Mood", "late")),
    Sent("DELETE", "/api/shop/book/4711"),
    Sent("DELETE", "/api/shop/book/2", (("If-Match", '"stale"'),)),
    Sent("DELETE", "/api/shop/book/2", (JSON,), (b"{",)),
    Sent("DELETE", "/api/shop/book/2"),
    Sent("GET", "/api/shop/book?per_page=100&include=reviews,tags"),
]


@pytest.fixture
async def running(start_kernel):
    # Small limits, so that passing them does not take long.
    config = {"server.max_body_bytes": 4000, "server.cors_origins": [ORIGIN]}
    return await start_kernel([Actors, Picky], config=config)


async def fill(running):
    """An app with the same content, keys included, every time it is made."""
    client = await running.client.app("shop")
    book = entity(
        "book",
        {"slug": {"field": "slug", "source": "title"}},
        id="int",
        title="string!",
        slug="string unique",
        pages="int",
        price="decimal:2",
        more="json",
        at="timestamp auto=update",
    )
    await client.define(
        book, entity("review", id="int", book_id="int", stars="int!"), entity("tag", id="int", label="string")
    )
    await client.relate(
        one_to_many("reviews", "book", "review", on_delete="cascade"), many_to_many("tags", "book", "tag")
    )
    for title in ("Emma", "Lady Susan", "Mansfield Park"):
        await client.create("book", {"title": title, "pages": 3, "price": "9.50", "reviews": [{"stars": 5}]})
    return client


async def test_reads_and_requests_that_lead_nowhere(running):
    await fill(running)
    lane, plain = create_app(running.kernel), create_app(running.kernel, lane=False)
    for sent in READS:
        one, other = await ask(lane, sent), await ask(plain, sent)
        assert one == other, f"{sent}\nlane  {one}\nplain {other}"


async def test_bytes_in_a_query_that_are_no_text(running):
    await fill(running)
    sent = Sent("GET", "/api/shop/book?x=\xff")
    one = await ask(create_app(running.kernel), sent)
    assert one.status == 400
    assert one == await ask(create_app(running.kernel, lane=False), sent)


async def test_writes_and_their_errors(running):
    answers: list[list[Got]] = []
    for lane in (True, False):
        client = await fill(running)
        app = create_app(running.kernel, lane=lane)
        answers.append([await ask(app, sent) for sent in WRITES])
        (await client.delete("/api/_platform/apps/shop")).require(200)
    for sent, *got in zip(WRITES, *answers, strict=True):
        one, other = (_timeless(sent, answer) for answer in got)
        assert one == other, f"{sent}\nlane  {one}\nplain {other}"


def _timeless(sent, got):
    """How long the steps of an explanation took differs from time to time, and with it the length of the text."""
    if "explain" not in sent.target:
        return got
    headers = tuple(pair for pair in got.headers if pair[0] != b"content-length")
    return replace(got, body=_MS.sub(b'"ms":0', got.body), headers=headers)


def plain_door(app):
    """A list of the paths of requests that go through Quart from now on."""
    taken, dispatch = [], app.dispatch_request

    async def note(request_context=None):
        taken.append(quart.request.path)
        return await dispatch(request_context)

    app.dispatch_request = note
    return taken


RECORD = Sent("GET", "/api/shop/book/1")


async def test_the_lane_is_taken(running):
    """Else the two would be the same for a poor reason."""
    await fill(running)
    app = create_app(running.kernel)
    taken = plain_door(app)
    assert (await ask(app, RECORD)).status == 200
    assert taken == []
    await ask(app, Sent("HEAD", "/api/shop/book/1"))
    assert taken == ["/api/shop/book/1"]


async def test_the_lane_stays_open_when_requests_have_gone_through_quart(running):
    """Quart looks into its tables of functions, and each look leaves an empty list there."""
    await fill(running)
    app = create_app(running.kernel)
    taken = plain_door(app)
    for sent in (
        Sent("GET", "/health"),
        Sent("GET", "/nowhere"),
        Sent("GET", "/api/shop/_admin/entities"),
        Sent("POST", "/api/_platform/apps", (JSON,), (b"{",)),
    ):
        await ask(app, sent)
        passed = len(taken)
        assert (await ask(app, RECORD)).status == 200
        assert (len(taken), app.lane_open) == (passed, True)
    assert passed == 4


async def _nothing(*_arguments):
    return None


async def _pass_on(response):
    return response


def _two_names(_endpoint, _values):
    return None


HUNG_IN = {
    "before each request": lambda app: app.before_request(_nothing),
    "after each request": lambda app: app.after_request(_pass_on),
    "at the end of each request": lambda app: app.teardown_request(_nothing),
    "at the end of each context": lambda app: app.teardown_appcontext(_nothing),
    "what reads the values of each path": lambda app: app.url_value_preprocessor(_two_names),
    "a route for records": lambda app: app.get("/api/shop/book/<id>")(_nothing),
    "a route for everything": lambda app: app.get("/<path:rest>")(_nothing),
    "a blueprint that sees all": lambda app: app.register_blueprint(_seeing_all()),
}


def _seeing_all():
    blueprint = quart.Blueprint("seeing", __name__)
    blueprint.before_app_request(_nothing)
    return blueprint


@pytest.mark.parametrize("what", HUNG_IN)
async def test_the_lane_closes_when_a_host_hangs_something_in(running, what):
    await fill(running)
    app = create_app(running.kernel)
    taken = plain_door(app)
    before = await ask(app, RECORD)
    HUNG_IN[what](app)
    after = await ask(app, RECORD)
    assert taken == ["/api/shop/book/1"]
    if "route" not in what:
        assert after == before


async def test_what_a_host_adds_for_itself_leaves_the_lane_open(running):
    await fill(running)
    app = create_app(running.kernel)
    taken = plain_door(app)
    seen = []
    blueprint = quart.Blueprint("own", __name__, url_prefix="/own")

    @blueprint.before_request
    async def note():
        seen.append(quart.request.path)

    @blueprint.get("/page")
    async def page():
        return "mine"

    app.register_blueprint(blueprint)
    assert (await ask(app, Sent("GET", "/own/page"))).body == b"mine"
    assert (await ask(app, RECORD)).status == 200
    assert (taken, seen) == (["/own/page"], ["/own/page"])


async def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(running):
    await fill(running)
    object.__setattr__(running.kernel, "body_time", TimeLimit(0.05))
    started = Sent("POST", "/api/shop/book", (JSON, ("Content-Length", "20")), (b'{"title":',), ends=False)
    for lane in (True, False):
        app = create_app(running.kernel, lane=lane)
        got = await asyncio.wait_for(ask(app, started), 10)
        assert got.status == 400
        assert json.loads(got.body)["error"] == {"code": "INVALID_PAYLOAD", "message": "Request body took too long"}
        assert (await ask(app, RECORD)).status == 200


async def test_trace_ids_are_given_by_both(running):
    await fill(running)
    for lane in (True, False):
        app = create_app(running.kernel, lane=lane)
        sent = Sent("GET", "/api/shop/book/1", (("X-Trace-ID", "nonsense"),))
        got = dict((await ask(app, sent)).headers)
        assert len(got[b"x-trace-id"]) == 36
        assert got[b"x-trace-id"] != TRACE.encode()
