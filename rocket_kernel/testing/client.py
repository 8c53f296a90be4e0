"""An HTTP client that talks to the real application without a socket."""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from quart.testing import QuartClient
from quart.testing.connections import TestHTTPConnection
from werkzeug.datastructures import Headers

from rocket_kernel.actor import Actor
from rocket_kernel.kernel import Kernel
from rocket_kernel.testing.actors import HEADER, Actors, actor_header
from rocket_kernel.testing.loops import require_loop

if TYPE_CHECKING:
    from quart import Quart

_NOTHING = object()
_PEER = ("127.0.0.1", 40000)
_LEFT_ALONE_IN_PATHS = "/%:@!$&'()*+,;=~-._"
_LEFT_ALONE_IN_QUERIES = _LEFT_ALONE_IN_PATHS + "?[]|"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` are looked up without regard to case; `getlist(name)` gives repeated ones."""

    method: str
    path: str
    status: int
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        """Raises ValueError when the body is no JSON."""
        return json_module.loads(self.body)

    @property
    def data(self) -> Any:
        """The member `data` of the success envelope; an AssertionError when there is none."""
        return self._member("data")

    @property
    def meta(self) -> Any:
        return self._member("meta")

    @property
    def error(self) -> Any:
        """The member `error` of the error envelope; an AssertionError when there is none."""
        return self._member("error")

    def require(self, status: int) -> Answer:
        """This answer, or an AssertionError that shows it when the status is another."""
        if self.status != status:
            raise AssertionError(f"expected {status} from {self}")
        return self

    def _member(self, name: str) -> Any:
        try:
            return self.json[name]
        except (ValueError, KeyError, TypeError):
            raise AssertionError(f"no {name!r} in the body of {self}") from None

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status} {self.body.decode(errors='replace')}"


@dataclass(frozen=True, slots=True)
class Client:
    """Requests to one kernel, through the whole of its application.

    Paths that begin with a slash are absolute, others belong to the app that the client is bound to:
    `client.get("book")` asks for `/api/shop/book`. `json` is sent as JSON, `content` as it is.
    """

    kernel: Kernel
    quart: Quart
    app_name: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request, unless it brings its own."""
    loop: asyncio.AbstractEventLoop | None = None
    """The one that the kernel was started in, where that is known."""

    async def get(self, path: str, **options: Any) -> Answer:
        """`options` are those of `request`."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: object = _NOTHING, **options: Any) -> Answer:
        return await self.request("POST", path, json, **options)

    async def put(self, path: str, json: object = _NOTHING, **options: Any) -> Answer:
        return await self.request("PUT", path, json, **options)

    async def patch(self, path: str, json: object = _NOTHING, **options: Any) -> Answer:
        return await self.request("PATCH", path, json, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.request("DELETE", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        json: object = _NOTHING,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        params: Mapping[str, object] | Iterable[tuple[str, object]] = (),
    ) -> Answer:
        """Send one request. `params` are added to the query of the path; a header of several values is given as pairs.

        Bytes of the path that are percent-encoded arrive so. A header of the value "" is still sent.
        """
        require_loop(self.loop)
        target, query = self._target(path, params)
        sent = Headers(self.headers)
        own = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        for name, _value in own:
            sent.remove(name)
        for name, value in own:
            sent.add(name, value)
        body = _body(json, content, sent)
        connection = QuartClient(self.quart, use_cookies=False).request(
            target,
            method=method,
            headers=sent,
            scope_base={"raw_path": target.encode(), "query_string": query, "client": _PEER},
        )
        async with connection:
            await connection.send(body)
            await connection.send_complete()
        # Not `as_response`, which counts the bytes anew: after HEAD there are none, whatever the headers say.
        if not isinstance(connection, TestHTTPConnection) or connection.status_code is None:
            raise AssertionError(f"no answer to {method} {path}")
        return Answer(
            method, path, connection.status_code, connection.headers or Headers(), bytes(connection.response_data)
        )

    def as_actor(self, actor: Actor) -> Client:
        """The same client with another caller. The kernel must have been started with the plugin `Actors`."""
        if self.kernel.parts.plugins.find(Actors.name) is None:
            raise RuntimeError("as_actor needs the plugin rocket_kernel.testing.Actors: start the kernel with it")
        return self.with_headers({HEADER: actor_header(actor)})

    def with_headers(self, headers: Mapping[str, str]) -> Client:
        """The same client, sending these headers too."""
        return replace(self, headers={**self.headers, **headers})

    def in_app(self, name: str) -> Client:
        """The same client, bound to another app that is there already."""
        return replace(self, app_name=name)

    async def app(self, name: str, **options: Any) -> Client:
        """Create an app, with `options` such as `db_driver` in the body; the client that is bound to it."""
        (await self.post("/api/_platform/apps", {"name": name, **options})).require(201)
        return self.in_app(name)

    async def define(self, *entities: Mapping[str, Any]) -> None:
        """Create entities in the client's app."""
        for entity in entities:
            (await self.post("_admin/entities", entity)).require(201)

    async def relate(self, *relations: Mapping[str, Any]) -> None:
        """Create relations in the client's app."""
        for relation in relations:
            (await self.post("_admin/relations", relation)).require(201)

    async def create(self, path: str, json: Mapping[str, Any], **options: Any) -> Any:
        """POST what must be created; the `data` of the answer."""
        return (await self.post(path, json, **options)).require(201).data

    def _target(self, path: str, params: Mapping[str, object] | Iterable[tuple[str, object]]) -> tuple[str, bytes]:
        """The path and the query as they travel."""
        if not path.startswith("/"):
            if self.app_name is None:
                raise ValueError(f"{path!r} belongs to an app, and this client is bound to none: see Client.app")
            path = f"/api/{self.app_name}/{path}"
        path, _, query = path.partition("?")
        added = urlencode(list(params.items()) if isinstance(params, Mapping) else list(params))
        query = "&".join(part for part in (quote(query, safe=_LEFT_ALONE_IN_QUERIES), added) if part)
        return quote(path, safe=_LEFT_ALONE_IN_PATHS), query.encode()


def _body(json: object, content: bytes | None, headers: Headers) -> bytes:
    """The bytes to send, with the headers an HTTP client adds for them unless the test has given its own."""
    if json is not _NOTHING and content is not None:
        raise ValueError("either json or content, not both")
    body = content or b""
    if json is not _NOTHING:
        body = json_module.dumps(json, ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers.setdefault("Content-Type", "application/json")
    if (json is not _NOTHING or content is not None) and "Transfer-Encoding" not in headers:
        headers.setdefault("Content-Length", str(len(body)))
    return body
