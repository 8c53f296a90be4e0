"""`_openapi.json` and `_docs`: what an app's API is, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rocket_kernel import __version__
from rocket_kernel.actor import Actor
from rocket_kernel.errors import NotFound, Unauthorized
from rocket_kernel.http.dispatch import authenticate
from rocket_kernel.http.messages import JSON_TYPE, Request, Response
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.openapi.docs_page import FILE_NAMES, PAGE_HEADERS, page, page_file
from rocket_kernel.openapi.document import APP_PREFIX, Described, build_document
from rocket_kernel.openapi.operation import Operation, Parameter, Success
from rocket_kernel.openapi.refusals import error_codes
from rocket_kernel.openapi.rights import rights_of
from rocket_kernel.openapi.schema import OBJECT, TEXT
from rocket_kernel.openapi.shelf import Shelf

_FILE_AGE_S = 3600
_TAG = "description"


@dataclass(slots=True, eq=False)
class Descriptions:
    """Of all apps of one kernel."""

    shelf: Shelf = field(default_factory=Shelf)
    _described: Described | None = None

    def routes(self) -> tuple[Route, ...]:
        public = AccessClass.PUBLIC
        return (
            Route(method="GET", path="/api/:app/_openapi.json", access=public, handler=self.show, operation=_DOCUMENT),
            Route(method="GET", path="/api/:app/_docs", access=public, handler=show_page, operation=_PAGE),
            Route(method="GET", path="/api/:app/_docs/:file", access=public, handler=show_file, operation=_FILE),
        )

    async def show(self, request: Request) -> Response:
        """Whoever says who it is must be believed; whoever says nothing is told what everybody may do."""
        actor = await _caller(request)
        async with request.app.reading() as (_session, registry):
            pass
        app, described = request.app, self._of(request)
        rights = rights_of(registry, actor)
        key = (app.name, app.identity, registry.revision, rights)
        document = await self.shelf.get(key, lambda: build_document(app.name, registry, rights, described))
        headers = {"ETag": document.tag, "Vary": "Authorization"}
        if _is_known(request.headers.get("if-none-match"), document.tag):
            return Response(304, headers={**headers, "Cache-Control": "no-store"})
        return Response(200, document.body, {"Content-Type": JSON_TYPE, **headers})

    def _of(self, request: Request) -> Described:
        if self._described is None:
            kernel = request.kernel
            routes = [entry for entry in kernel.router.routes if entry[1].segments[: len(APP_PREFIX)] == APP_PREFIX]
            packages = {type(plugin).__module__.partition(".")[0] for plugin in kernel.parts.plugins.plugins}
            self._described = Described(tuple(routes), error_codes(packages), __version__, not kernel.open_house)
        return self._described


async def _caller(request: Request) -> Actor | None:
    """Raises Unauthorized for a token that is none."""
    try:
        return await authenticate(request)
    except Unauthorized:
        if "authorization" in request.headers:
            raise
        return None


async def show_page(request: Request) -> Response:
    base = "" if request.path.endswith("/") else "_docs/"
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", **PAGE_HEADERS}
    return Response(200, page(base), headers)


async def show_file(request: Request) -> Response:
    found = page_file(request.params["file"])
    if found is None:
        raise NotFound
    headers = {"ETag": found.tag, "Cache-Control": f"public, max-age={_FILE_AGE_S}", **PAGE_HEADERS}
    if _is_known(request.headers.get("if-none-match"), found.tag):
        return Response(304, headers=headers)
    return Response(200, found.body, {"Content-Type": found.type, **headers})


def _is_known(header: str | None, tag: str) -> bool:
    return header is not None and any(given in ("*", tag) for given in _tags(header))


def _tags(header: str) -> Iterable[str]:
    return (part.strip().removeprefix("W/") for part in header.split(","))


_IF_NONE_MATCH = Parameter(name="If-None-Match", place="header", description="Tags as `ETag` gave them.")
_UNCHANGED = Success(description="As the tag says.")

_DOCUMENT = Operation(
    summary="Describe this API",
    description="This document: OpenAPI 3.1, limited to what the caller may do.",
    tag=_TAG,
    parameters=(_IF_NONE_MATCH,),
    answers={200: Success(schema=OBJECT, headers={"ETag": "Changes with the document."}), 304: _UNCHANGED},
    refusals=frozenset({401}),
)
_PAGE = Operation(
    summary="Show this API to people",
    tag=_TAG,
    answers={200: Success(schema=TEXT, type="text/html")},
)
_FILE = Operation(
    summary="Get a file of that page",
    tag=_TAG,
    parameters=(
        Parameter(name="file", place="path", schema={"type": "string", "enum": list(FILE_NAMES)}),
        _IF_NONE_MATCH,
    ),
    answers={200: Success(schema=TEXT, type="*/*"), 304: _UNCHANGED},
)
