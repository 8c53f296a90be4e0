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
    confirms_caller: bool = False
    """The handler hands `request.actor` to every session it opens (`AppContext.read` and its like), and does nothing
    that cannot be done again before. So the caller may be known from earlier requests: the session tells whether that
    still holds. Elsewhere it is found out before the handler runs."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))


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
        self._places = {id(route): _places(route) for _, route in self.routes}

    def match(self, method: str, raw_path: str) -> Match:
        """`raw_path` is still percent-encoded, so that an encoded slash stays inside its segment.

        The first pattern that fits decides, whatever its methods are. Raises NotFound or MethodNotAllowed. HEAD is
        matched as GET.
        """
        pattern, given = self._find(raw_path)
        route = pattern.methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise MethodNotAllowed(allowed_methods(pattern.methods))
        return Match(route, {name: given[at] for name, at in self._places[id(route)]})

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
