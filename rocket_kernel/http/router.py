"""Which route answers a path: contract §1.2.

A table of our own, because fixed segments match without regard to case while names stay case-sensitive, rows are
tried top to bottom, and what no fixed row takes may still be an entity path.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rocket_kernel.errors import MethodNotAllowed, NotFound, PluginError

if TYPE_CHECKING:
    from rocket_kernel.http.messages import Request, Response
    from rocket_kernel.openapi.operation import EntityOperation, Operation

Handler = Callable[["Request"], Awaitable["Response"]]


class AccessClass(StrEnum):
    """Who passes: contract §1.1."""

    PUBLIC = "PUB"
    PLATFORM_USER = "PUSR"
    PLATFORM_ADMIN = "PLAT"
    AUTHENTICATED = "AUTH"
    ADMIN = "ADM"
    PERMISSION = "PERM"


class BodyMode(StrEnum):
    JSON = "json"
    """Read and parsed before the app is looked at."""
    STREAM = "stream"
    """Left to the handler as `request.stream`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`path` as the contract writes it: segments that begin with a colon are parameters."""

    method: str
    path: str
    access: AccessClass
    handler: Handler
    body: BodyMode = BodyMode.JSON
    operation: Operation | EntityOperation | None = None
    """What it does, for the API description: see `Operation`."""
    confirms_caller: bool = False
    """The handler hands `request.actor` to every session it opens (`AppContext.read` and its like), and does nothing
    that cannot be done again before. So the caller may be known from earlier requests: the session tells whether that
    still holds. Elsewhere it is found out before the handler runs."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))

    @property
    def in_app(self) -> bool:
        """Whether it is one under `/api/:app`."""
        return self.path.startswith("/api/:app/") or self.path == "/api/:app"


@dataclass(slots=True, eq=False)
class Match:
    route: Route
    params: Mapping[str, str]


_FORMS_KEPT = 10_000
_PARAMETER = ":"
"""Stands for every parameter in a pattern: routes may name the parameters of one path differently."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    segments: tuple[str, ...]
    methods: Mapping[str, Route]

    def fits(self, form: Sequence[str]) -> bool:
        return all(part if own == _PARAMETER else own == part for own, part in zip(self.segments, form, strict=True))


class Router:
    """Built once; patterns with fixed segments go before those with parameters, and by length."""

    def __init__(self, routes: Iterable[tuple[str, Route]]) -> None:
        self.routes = tuple(routes)
        table: dict[tuple[str, ...], dict[str, Route]] = {}
        owners: dict[tuple[str, tuple[str, ...]], str] = {}
        for plugin, route in self.routes:
            shape = tuple(_PARAMETER if part.startswith(":") else part.lower() for part in route.segments)
            former = owners.setdefault((route.method, shape), plugin)
            if route.method in table.get(shape, {}):
                raise PluginError(plugin, f"route {route.method} {route.path} is {former!r}'s", hook="register_routes")
            table.setdefault(shape, {})[route.method] = route
        ordered = sorted(table.items(), key=lambda entry: [part == _PARAMETER for part in entry[0]])
        self._by_length: dict[int, list[_Pattern]] = {}
        for segments, methods in ordered:
            self._by_length.setdefault(len(segments), []).append(_Pattern(segments, methods))
        self._words = frozenset(part for segments, _ in ordered for part in segments if part != _PARAMETER)
        self._found: dict[tuple[str, ...], _Pattern] = {}
        self._known: dict[tuple[str, str], tuple[Route, Mapping[str, str], str]] = {}
        """By method and all of a path but its last segment, where that is a parameter."""
        self._places = {id(route): _places(route) for _, route in self.routes}

    def match(self, method: str, raw_path: str) -> Match:
        """`raw_path` is still percent-encoded, so that an encoded slash stays inside its segment.

        The first pattern that fits decides, whatever its methods are. Raises NotFound or MethodNotAllowed. HEAD is
        matched as GET.
        """
        head, _, last = raw_path.rpartition("/")
        known = self._known.get((method, head))
        if known is not None and last and "%" not in last and last.lower() not in self._words:
            route, params, name = known
            return Match(route, {**params, name: last})
        pattern, given = self._find(raw_path)
        found = pattern.methods.get("GET" if method == "HEAD" else method)
        if found is None:
            raise MethodNotAllowed(allowed_methods(pattern.methods))
        params = {name: given[at] for name, at in self._places[id(found)]}
        if pattern.segments[-1] == _PARAMETER and last and given[-1] == last:
            self._remember((method, head), found, params)
        return Match(found, params)

    def _remember(self, place: tuple[str, str], route: Route, params: Mapping[str, str]) -> None:
        """Whatever is last in such a path leads to the same route, unless it is a word or needs decoding."""
        if len(self._known) >= _FORMS_KEPT:
            self._known.clear()
        name, _ = self._places[id(route)][-1]
        self._known[place] = route, {each: params[each] for each in params if each != name}, name

    def allowed(self, raw_path: str) -> list[str]:
        """The methods a path has. Raises NotFound."""
        return allowed_methods(self._find(raw_path)[0].methods)

    def _find(self, raw_path: str) -> tuple[_Pattern, list[str]]:
        given = split_path(raw_path)
        words = self._words
        # Only words that some route has decide; whatever else stands in a path fits parameters alone.
        form = tuple(
            [(low if (low := segment.lower()) in words else _PARAMETER) if segment else segment for segment in given]
        )
        pattern = self._found.get(form)
        if pattern is None:
            pattern = self._first_fitting(form)
        return pattern, given

    def _first_fitting(self, form: tuple[str, ...]) -> _Pattern:
        for pattern in self._by_length.get(len(form), ()):
            if pattern.fits(form):
                if len(self._found) > _FORMS_KEPT:
                    self._found.clear()
                self._found[form] = pattern
                return pattern
        raise NotFound


def _places(route: Route) -> tuple[tuple[str, int], ...]:
    """Each parameter with its place among the segments."""
    return tuple((part[1:], at) for at, part in enumerate(route.segments) if part.startswith(":"))


def split_path(raw_path: str) -> list[str]:
    """Segments, decoded one by one; one trailing slash is ignored."""
    path = raw_path.removeprefix("/")
    path = path.removesuffix("/")
    segments = path.split("/")
    return segments if "%" not in path else [unquote(segment, errors="replace") for segment in segments]


def allowed_methods(methods: Iterable[str]) -> list[str]:
    found = set(methods)
    if "GET" in found:
        found.add("HEAD")
    return sorted(found | {"OPTIONS"})
