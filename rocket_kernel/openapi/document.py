"""An app's API as an OpenAPI 3.1 document: what one caller may do, and nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from rocket_kernel import json_text
from rocket_kernel.http.router import AccessClass, Route
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.openapi.entities import entity_schemas, words_of
from rocket_kernel.openapi.operation import META, PAGE, EntityView, Operation, Parameter
from rocket_kernel.openapi.records import EXPLANATION
from rocket_kernel.openapi.refusals import Codes, error_answers, error_name, refusals_of
from rocket_kernel.openapi.rights import Rights
from rocket_kernel.openapi.schema import TEXT
from rocket_kernel.openapi.values import filter_name, filter_schemas

OPENAPI = "3.1.0"
APP_PREFIX = ("api", ":app")
OF_ENTITY = ":entity"
SCHEME = "token"

_VERBS = {"GET": "get", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}
_SHARED = {f"{parameter.place}.{parameter.name}": parameter for parameter in PAGE}

Json = dict[str, Any]
Shape = tuple[str, ...]
"""The segments of a path, with a colon for each parameter."""


@dataclass(frozen=True, slots=True)
class Described:
    """What of a kernel stands in the documents of all its apps."""

    routes: tuple[tuple[str, Route], ...]
    """Those under `/api/:app`, with the plugin that brings each."""
    codes: Codes
    version: str
    has_tokens: bool
    """Whether callers say who they are."""


def build_document(app: str, registry: Registry, rights: Rights, described: Described) -> bytes:
    """JSON. Equal rights on equal metadata give equal bytes, in every process.

    Each part is made text at once: of an app with hundreds of entities the values would be so many that the collector of
    garbage stops the process to walk through them.
    """
    views = [
        EntityView(compiled.entity, registry.model, rights.on(name), rights)
        for name, compiled in sorted(registry.compiled.items())
        if rights.on(name).any
    ]
    paths: dict[str, dict[str, Raw]] = {}
    tags: dict[str, Json] = {}
    for entry in _operations(views, rights, described):
        methods = paths.setdefault(entry.path, {})
        methods.setdefault(_VERBS[entry.route.method], _text(_operation(entry, described)))
        tags.setdefault(entry.tag, {"name": entry.tag, **(words_of(entry.about) if entry.about else {})})
    document = {
        "openapi": OPENAPI,
        "info": {"title": app, "version": described.version, "description": _ABOUT},
        "servers": [{"url": f"/api/{app}"}],
        "tags": [tags[name] for name in sorted(tags, key=lambda name: (name not in rights.names, name))],
        "paths": dict(sorted(paths.items())),
        "components": _components(views, registry, described),
    }
    return json_text.encode(document)


def _text(value: object) -> Raw:
    return Raw(json_text.encode(value))


_ABOUT = (
    "What you may do in this app with the token you sent, or without one. Answers bear an `X-Trace-ID`. "
    "Field values may be sent in more forms than are described: numbers and dates also as text, for example."
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One operation on its path."""

    route: Route
    operation: Operation
    path: str
    tag: str
    parameters: tuple[str, ...]
    """Names of those in the path."""
    id: str
    about: Mapping[str, Any] | None = None
    """The definition of its entity."""


def _operations(views: Iterable[EntityView], rights: Rights, described: Described) -> Iterator[_Entry]:
    """What fixed routes answer, no entity of that name does, whether or not they say what they do."""
    names: dict[Shape, tuple[str, ...]] = {}
    taken = {_shape(_in_app(route)) for _, route in described.routes if not is_of_entity(route)}
    routes = [(plugin, route) for plugin, route in described.routes if rights.passes(route.access)]
    for plugin, route in routes:
        if not is_of_entity(route) and isinstance(route.operation, Operation):
            segments = _same_names(_in_app(route), names)
            yield _entry(route, route.operation, segments, tag=route.operation.tag or plugin)
    for view in views:
        for _, route in routes:
            operation = _for_entity(route, view)
            own = (view.entity.name, *_in_app(route)[1:])
            if operation is not None and _shape(own) not in taken:
                segments = _same_names(own, names)
                yield _entry(route, operation, segments, tag=view.entity.name, about=view.entity.definition)


def _in_app(route: Route) -> tuple[str, ...]:
    return route.segments[len(APP_PREFIX) :]


def _shape(segments: tuple[str, ...]) -> Shape:
    return tuple(":" if part.startswith(":") else part.lower() for part in segments)


def is_of_entity(route: Route) -> bool:
    return route.segments[len(APP_PREFIX) : len(APP_PREFIX) + 1] == (OF_ENTITY,)


def _for_entity(route: Route, view: EntityView) -> Operation | None:
    if not is_of_entity(route) or route.operation is None:
        return None
    if not isinstance(route.operation, Operation):
        return route.operation(view)
    hidden = route.access is AccessClass.PERMISSION and not view.rights.reads
    return None if hidden else route.operation


def _same_names(segments: tuple[str, ...], names: dict[Shape, tuple[str, ...]]) -> tuple[str, ...]:
    """Routes may name the parameters of one path differently; in a document it is one path."""
    return names.setdefault(_shape(segments), segments)


def _entry(
    route: Route, operation: Operation, segments: tuple[str, ...], *, tag: str, about: Mapping[str, Any] | None = None
) -> _Entry:
    words = [part.replace(":", "by_") for part in segments]
    path = "/" + "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in segments)
    return _Entry(
        route=route,
        operation=operation,
        path=path,
        tag=tag,
        parameters=tuple(part[1:] for part in segments if part.startswith(":")),
        id=operation.id or ".".join((_VERBS[route.method], *words)),
        about=about,
    )


def _operation(entry: _Entry, described: Described) -> Json:
    operation = entry.operation
    told: Json = {"operationId": entry.id, "tags": [entry.tag], "summary": operation.summary}
    if operation.description:
        told["description"] = operation.description
    parameters = [*_path_parameters(entry), *(_parameter(it) for it in operation.parameters if it.place != "path")]
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        told["requestBody"] = {
            "required": bool(operation.body.get("required")),
            "content": {operation.body_type: {"schema": operation.body}},
        }
    told["responses"] = _answers(entry, described)
    if described.has_tokens and entry.route.access is not AccessClass.PUBLIC:
        told["security"] = [{SCHEME: []}]
    return told


def _path_parameters(entry: _Entry) -> Iterator[Json]:
    said = {it.name: it for it in entry.operation.parameters if it.place == "path"}
    for name in entry.parameters:
        known = said.get(name)
        schema = TEXT if known is None else known.schema
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(parameter: Parameter) -> Json:
    name = f"{parameter.place}.{parameter.name}"
    if _SHARED.get(name) == parameter:
        return {"$ref": f"#/components/parameters/{name}"}
    return _whole_parameter(parameter)


def _whole_parameter(parameter: Parameter) -> Json:
    told: Json = {"name": parameter.name, "in": parameter.place, "schema": parameter.schema}
    if parameter.required:
        told["required"] = True
    if parameter.description:
        told["description"] = parameter.description
    if parameter.style is not None:
        told["style"] = parameter.style
    if parameter.explode is not None:
        told["explode"] = parameter.explode
    return told


def _answers(entry: _Entry, described: Described) -> Json:
    told: Json = {}
    for status, answer in sorted(entry.operation.answers.items()):
        one: Json = {"description": answer.description or entry.operation.summary}
        if answer.schema is not None:
            one["content"] = {answer.type: {"schema": answer.schema}}
        if answer.headers:
            one["headers"] = {name: {"description": what, "schema": TEXT} for name, what in answer.headers.items()}
        told[str(status)] = one
    for status in refusals_of(entry.route, entry.operation, described.codes):
        told[str(status)] = {"$ref": f"#/components/responses/{error_name(status)}"}
    return told


def _components(views: list[EntityView], registry: Registry, described: Described) -> Json:
    schemas: Json = {"Meta": META}
    if views:
        schemas["Explanation"] = EXPLANATION
    types = {
        filter_name(field.type): field.type
        for view in views
        for name, field in view.entity.fields.items()
        if name in view.rights.nameable
    }
    schemas.update(sorted(filter_schemas(types.values()).items()))
    for view in views:
        for name, schema in entity_schemas(view, registry.compiled[view.entity.name]):
            schemas[name] = _text(schema)
    components: Json = {
        "schemas": schemas,
        "parameters": {name: _whole_parameter(parameter) for name, parameter in _SHARED.items()},
        "responses": error_answers(described.codes),
    }
    if described.has_tokens:
        components["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer"}}
    return components
