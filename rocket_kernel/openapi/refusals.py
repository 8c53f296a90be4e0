"""How errors are described: which statuses an operation may be refused with, and which codes stand behind a status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from rocket_kernel.errors import InternalError, RocketError
from rocket_kernel.http.body import METHODS_WITH_BODY
from rocket_kernel.http.router import AccessClass, BodyMode, Route
from rocket_kernel.openapi.operation import Operation
from rocket_kernel.openapi.schema import INTEGER, TEXT, Schema, array_of, object_of

KERNEL_PACKAGE = "rocket_kernel"
BAD_GATEWAY = 502
"""Only judges outside answer writes with it."""

_ALWAYS = frozenset({400, 404, 503})
_OF_BODIES = frozenset({413, 422})
_OF_WRITES = frozenset({507})
_DETAIL = object_of({"field": TEXT, "rule": TEXT, "message": TEXT, "line": INTEGER, "column": INTEGER}, ["message"])

Codes = Mapping[int, tuple[str, ...]]


def error_codes(packages: Iterable[str]) -> Codes:
    """Status -> the codes of all errors that the kernel and these packages declare. A defect (500) is no answer."""
    known = {KERNEL_PACKAGE, *packages}
    found: dict[int, set[str]] = {}
    for error in _family(RocketError):
        if error not in (RocketError, InternalError) and error.__module__.partition(".")[0] in known:
            found.setdefault(error.status, set()).add(error.code)
    return {status: tuple(sorted(found[status])) for status in sorted(found)}


def _family(error: type[RocketError]) -> Iterator[type[RocketError]]:
    yield error
    for child in error.__subclasses__():
        yield from _family(child)


def refusals_of(route: Route, operation: Operation, codes: Codes) -> list[int]:
    """The statuses of errors that the route may answer with."""
    found = set(_ALWAYS | operation.refusals)
    if route.access is not AccessClass.PUBLIC:
        found.add(401)
    if route.access in (AccessClass.ADMIN, AccessClass.PLATFORM_ADMIN):
        found.add(403)
    if route.method in METHODS_WITH_BODY and route.body is BodyMode.JSON:
        found |= _OF_BODIES
    if route.method != "GET":
        found |= _OF_WRITES
        if route.access is AccessClass.PERMISSION and BAD_GATEWAY in codes:
            found.add(BAD_GATEWAY)
    return sorted(status for status in found if status in codes)


def error_answers(codes: Codes) -> dict[str, object]:
    """The components that operations refer to, by name."""
    return {error_name(status): _answer(status, codes[status]) for status in codes}


def error_name(status: int) -> str:
    return f"Error{status}"


def _answer(status: int, codes: tuple[str, ...]) -> object:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": _body(codes)}},
    }


def _body(codes: tuple[str, ...]) -> Schema:
    code = {"type": "string", "enum": list(codes)}
    error = object_of({"code": code, "message": TEXT, "details": array_of(_DETAIL)}, ["code", "message"])
    return object_of({"error": error})
