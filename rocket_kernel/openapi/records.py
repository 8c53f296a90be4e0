"""What the five record endpoints do for one entity and one caller."""

from __future__ import annotations

from collections.abc import Iterator

from rocket_kernel.openapi.entities import reference
from rocket_kernel.openapi.operation import PAGE, EntityView, Operation, Parameter, Success, answers_page, enveloped
from rocket_kernel.openapi.related import include_hops
from rocket_kernel.openapi.schema import BOOLEAN, TEXT, Schema, array_of, object_of
from rocket_kernel.openapi.values import filter_name
from rocket_kernel.query.parse import MAX_INCLUDES, MAX_SORT_KEYS

_WRITE_REFUSALS = frozenset({403, 409, 422})
_TAG = "Opaque; changes with the record. For `If-Match`."
_IF_MATCH = Parameter(
    name="If-Match",
    place="header",
    description="Tags as `ETag` gave them: refused with 412 when the record has changed.",
)
_EXPLAIN = Parameter(
    name="explain", schema=BOOLEAN, description="`true` writes nothing and tells what the write would do."
)
_IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    description="Sent again with the same key within 24 hours, the request creates nothing and is answered as before.",
)


def describe_list(view: EntityView) -> Operation | None:
    if not view.rights.reads:
        return None
    name = view.entity.name
    return Operation(
        summary=f"List {name} records",
        id=f"list.{name}",
        description="Further filters go through relations: `filter[relation.field][operator]`.",
        tag=name,
        parameters=tuple(_list_parameters(view)),
        answers=answers_page(reference(f"{name}.selected")),
        refusals=frozenset({403}),
    )


def describe_get(view: EntityView) -> Operation | None:
    if not view.rights.reads:
        return None
    name = view.entity.name
    schema = enveloped(reference(f"{name}.selected"))
    return Operation(
        summary=f"Get a {name} record",
        id=f"read.{name}",
        tag=name,
        parameters=tuple(_projection_parameters(view)),
        answers={200: Success(schema=schema, headers={"ETag": _TAG})},
        refusals=frozenset({403}),
    )


def describe_create(view: EntityView) -> Operation | None:
    if not view.rights.creates:
        return None
    name = view.entity.name
    headers = {"ETag": _TAG, "Idempotency-Replayed": "`true` when the answer is that of a former request."}
    return Operation(
        summary=f"Create a {name} record",
        id=f"create.{name}",
        tag=name,
        parameters=(_EXPLAIN, _IDEMPOTENCY_KEY),
        body=reference(f"{name}.new"),
        answers={201: Success(schema=_written(view), headers=headers), 200: _explained()},
        refusals=_WRITE_REFUSALS,
    )


def describe_update(view: EntityView) -> Operation | None:
    return _update(view, "update")


def describe_patch(view: EntityView) -> Operation | None:
    return _update(view, "amend")


def _update(view: EntityView, verb: str) -> Operation | None:
    """PUT and PATCH are one."""
    if not view.rights.updates:
        return None
    name = view.entity.name
    return Operation(
        summary=f"Update a {name} record",
        id=f"{verb}.{name}",
        description="Only what is given changes. PUT and PATCH do the same.",
        tag=name,
        parameters=(_EXPLAIN, _IF_MATCH),
        body=reference(f"{name}.change"),
        answers={200: Success(schema={"anyOf": [_written(view), _EXPLANATION]}, headers={"ETag": _TAG})},
        refusals=_WRITE_REFUSALS | {412},
    )


def describe_delete(view: EntityView) -> Operation | None:
    if not view.rights.deletes:
        return None
    name = view.entity.name
    deleted = enveloped(object_of({"id": TEXT}))
    return Operation(
        summary=f"Delete a {name} record",
        id=f"remove.{name}",
        tag=name,
        parameters=(_EXPLAIN, _IF_MATCH),
        answers={200: Success(schema={"anyOf": [deleted, _EXPLANATION]})},
        refusals=_WRITE_REFUSALS | {412},
    )


_EXPLANATION = enveloped(reference("Explanation"))

EXPLANATION: Schema = object_of(
    {
        "would": {"enum": ["create", "update", "delete", "reject"]},
        "record": {"type": ["object", "null"]},
        "changes": {"type": "object"},
        "steps": array_of(
            object_of(
                {
                    "stage": TEXT,
                    "plugin": TEXT,
                    "name": TEXT,
                    "outcome": {"enum": ["ok", "skipped", "rejected", "error"]},
                    "ms": {"type": ["number", "null"]},
                    "detail": {},
                }
            )
        ),
        "errors": array_of({"type": "object"}),
        "statements": array_of({"type": "object"}),
        "outbox": array_of({}),
        "workflows": array_of({}),
    }
)


def _explained() -> Success:
    return Success(schema=_EXPLANATION, description="With `explain=true`.")


def _written(view: EntityView) -> Schema:
    """A caller that may not read all rows gets of those it may not read the primary key alone."""
    whole = view.rights.reads and view.rights.reads_all_rows
    return enveloped(reference(view.entity.name if whole else f"{view.entity.name}.selected"))


def _list_parameters(view: EntityView) -> Iterator[Parameter]:
    yield from PAGE
    sortable = [name for name in _nameable(view) if view.entity.fields[name].type.sortable]
    yield _names(
        "sort",
        [sign + name for name in sortable for sign in ("", "-")],
        "Descending with `-`. A field of a related record is `relation.field`.",
        r"^-?[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,5}$",
    )
    yield from _projection_parameters(view)
    for name in _nameable(view):
        yield Parameter(
            name=f"filter[{name}]",
            schema=reference(filter_name(view.entity.fields[name].type)),
            style="deepObject",
            explode=True,
        )


def _projection_parameters(view: EntityView) -> Iterator[Parameter]:
    includes = list(include_hops(view))
    if includes:
        pattern = rf"^({'|'.join(includes)})(\.[a-z][a-z0-9_]*){{1,3}}$"
        yield _names("include", includes, "Related records. Theirs are `relation.relation`.", pattern)
    yield _names("fields", _nameable(view), "Only these fields, and the primary key.")


def _names(name: str, values: list[str], description: str, pattern: str | None = None) -> Parameter:
    """A list of names, separated by commas. Beside `values` it takes what fits `pattern`."""
    items: Schema = {"type": "string", "enum": values}
    if pattern is not None:
        items = {"anyOf": [items, {"type": "string", "pattern": pattern}]}
    schema: Schema = {"type": "array", "items": items, **({"maxItems": _MOST[name]} if name in _MOST else {})}
    return Parameter(name=name, schema=schema, description=description, style="form", explode=False)


_MOST = {"sort": MAX_SORT_KEYS, "include": MAX_INCLUDES}


def _nameable(view: EntityView) -> list[str]:
    return [name for name in view.entity.fields if name in view.rights.nameable]
