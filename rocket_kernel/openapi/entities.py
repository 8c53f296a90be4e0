"""The schemas of an entity's records, as one caller may read and write them.

Of an entity `book` these are, by name: `book.selected`, a record that may have been projected; `book`, a whole one;
`book.new` and `book.change`, the bodies of writes; `book.item`, a record nested in the write of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rocket_kernel.metadata.entity import DELETED_AT, Entity
from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import CompiledEntity
from rocket_kernel.metadata.relation import WRITE_MODES
from rocket_kernel.openapi.operation import EntityView
from rocket_kernel.openapi.related import include_hops, nested_hops
from rocket_kernel.openapi.schema import BOOLEAN, NULL, TEXT, Schema, array_of, object_of, one_of
from rocket_kernel.openapi.values import answered, sent


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def entity_schemas(view: EntityView, compiled: CompiledEntity) -> Iterator[tuple[str, Schema]]:
    """Name and schema of all that descriptions of the entity, or of one related to it, may refer to."""
    name, rights = view.entity.name, view.rights
    key = view.entity.primary_key.field
    yield f"{name}.selected", _selected(view)
    whole = rights.reads and rights.reads_all_fields
    required = list(view.entity.fields) if whole else [key]
    yield name, {**reference(f"{name}.selected"), "required": required, **words_of(view.entity.definition)}
    nested = {key: _nested(hop, view) for key, hop in nested_hops(view).items()}
    if rights.creates:
        yield f"{name}.new", object_of({**_new_fields(view), **nested}, _demanded(view, compiled))
    if rights.updates:
        yield f"{name}.change", object_of({**_changed_fields(view), **nested}, ())
    if rights.creates or rights.updates or rights.deletes:
        yield f"{name}.item", _item(view, nested)


def words_of(definition: Any) -> dict[str, str]:
    """What a definition says of itself, for people."""
    words = definition.get("description") if hasattr(definition, "get") else None
    return {"description": words} if isinstance(words, str) and words else {}


def _selected(view: EntityView) -> Schema:
    entity = view.entity
    key = entity.primary_key.field
    words = _field_words(entity)
    properties: dict[str, Schema] = {
        name: _with_words(answered(field, key=name == key), words.get(name, ""))
        for name, field in entity.fields.items()
        if name in view.rights.shown or name == key
    }
    if entity.shows_deleted_at:
        properties[DELETED_AT] = NULL
    for include, hop in include_hops(view).items():
        other = reference(hop.target)
        properties[include] = array_of(other) if hop.many else {"anyOf": [other, NULL]}
    return object_of(properties, [key])


def _field_words(entity: Entity) -> dict[str, str]:
    """The fields' own descriptions by name."""
    listed = entity.definition.get("fields")
    bodies = [body for body in listed if isinstance(body, dict)] if isinstance(listed, list) else []
    return {str(body.get("name")): words["description"] for body in bodies if (words := words_of(body))}


def _with_words(schema: Schema, words: str) -> Schema:
    """A description of the definition goes before what follows from other properties of the field."""
    told = " ".join(part for part in (words, schema.get("description", "")) if part)
    return {**schema, "description": told} if words else schema


def _new_fields(view: EntityView) -> dict[str, Schema]:
    return {name: sent(field) for name, field in _given(view, view.rights.given_on_create) if not _ignored(view, field)}


def _changed_fields(view: EntityView) -> dict[str, Schema]:
    key = view.entity.primary_key.field
    return {
        name: _without_default(sent(field))
        for name, field in _given(view, view.rights.given_on_update)
        if name != key and not _ignored(view, field)
    }


def _without_default(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}


def _given(view: EntityView, names: frozenset[str]) -> Iterator[tuple[str, Field]]:
    return ((name, field) for name, field in view.entity.fields.items() if name in names)


def _ignored(view: EntityView, field: Field) -> bool:
    """Values of such fields are accepted and have no effect."""
    entity = view.entity
    generated = entity.generated_key and field.name == entity.primary_key.field
    return field.auto is not None or generated or (entity.soft_delete and field.name == DELETED_AT)


def _demanded(view: EntityView, compiled: CompiledEntity) -> list[str]:
    """What a create is refused without."""
    entity, pipeline = view.entity, compiled.pipeline
    slug = entity.slug.field if entity.slug is not None and entity.slug.source is not None else None
    filled = pipeline.fills | set(pipeline.defaults) | ({slug} if slug else set())
    key = entity.primary_key.field
    return [
        name
        for name, field in _given(view, view.rights.given_on_create)
        if not _ignored(view, field)
        and name not in filled
        and (name == key or (field.demanded and field.default is None))
    ]


def _item(view: EntityView, nested: dict[str, Schema]) -> Schema:
    """Rows as they were read are accepted too, so whatever the caller may read may stand in it."""
    key = view.entity.primary_key.field
    names = view.rights.shown | view.rights.given_on_create | view.rights.given_on_update | {key}
    properties = {name: _without_default(sent(field)) for name, field in _given(view, names)}
    return object_of({**properties, DELETED_AT: {}, "_delete": BOOLEAN, **nested}, ())


def _nested(hop: Hop, view: EntityView) -> Schema:
    """The forms of records inside a body: contract §5.4."""
    rights = view.caller.on(hop.target)
    writes = rights.creates or rights.updates or rights.deletes
    item = reference(f"{hop.target}.item") if writes else _link(view, hop)
    if hop.relation.many_to_many:
        item = {"anyOf": [TEXT, item]}
    items = array_of(item)
    one = hop.relation.type == "one_to_one"
    envelope = object_of(
        {"_write_mode": one_of(*WRITE_MODES), "data": {"anyOf": [items, item]} if one else items}, ["data"]
    )
    return {"anyOf": [items, envelope, item] if one else [items, envelope]}


def _link(view: EntityView, hop: Hop) -> Schema:
    key = view.model.entities[hop.target].key
    return object_of({key.name: sent(key, key=True), "_delete": BOOLEAN}, [key.name])
