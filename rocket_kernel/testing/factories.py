"""Definitions in one line each.

    entity("book", title="string!", price="decimal:2", isbn="string unique", state="string enum=new|sold")

A field is a mapping as the contract has it (§4.3), or a text: the type, `:` and the precision, `!` for required, then
any of `required`, `unique`, `nullable`, `sensitive`, `auto=create`, `enum=a|b` and `default=text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FLAGS = frozenset({"required", "unique", "nullable", "sensitive"})
_KEY = "id"

Definition = dict[str, Any]


def entity(name: str, options: Mapping[str, Any] | None = None, /, **fields: str | Mapping[str, Any]) -> Definition:
    """An entity's definition.

    Without a field `id` it gets a generated uuid of this name; `id="int"` generates numbers. `options` are the other
    properties of the definition, such as `{"soft_delete": True}`; they may bring a `primary_key` of their own.
    """
    listed = [_field(field, spec) for field, spec in fields.items()]
    definition: Definition = {"name": name, "fields": listed, **(options or {})}
    if "primary_key" not in definition:
        key = next((field for field in listed if field["name"] == _KEY), None)
        if key is None:
            key = _field(_KEY, "uuid")
            listed.insert(0, key)
        definition["primary_key"] = {"field": _KEY, "type": key["type"], "generated": True}
    return definition


def one_to_many(name: str, source: str, target: str, /, key: str | None = None, **more: Any) -> Definition:
    """`source` has many `target`; `key` is the field of the target that points back, `{source}_id` unless given."""
    return _keyed("one_to_many", name, source, target, key, more)


def one_to_one(name: str, source: str, target: str, /, key: str | None = None, **more: Any) -> Definition:
    return _keyed("one_to_one", name, source, target, key, more)


def many_to_many(name: str, source: str, target: str, /, join_table: str | None = None, **more: Any) -> Definition:
    """Joined in `{source}_{target}` unless another table is given."""
    table = join_table or f"{source}_{target}"
    return {"name": name, "type": "many_to_many", "source": source, "target": target, "join_table": table, **more}


def _keyed(type: str, name: str, source: str, target: str, key: str | None, more: Mapping[str, Any]) -> Definition:
    own = {"name": name, "type": type, "source": source, "target": target, "target_key": key or f"{source}_id"}
    return {**own, **more}


def _field(name: str, spec: str | Mapping[str, Any]) -> Definition:
    return {"name": name, **(parse_field(spec) if isinstance(spec, str) else spec)}


def parse_field(spec: str) -> Definition:
    """The properties that a field's text stands for. Raises ValueError."""
    head, *words = spec.split()
    type, _, precision = head.removesuffix("!").partition(":")
    properties: Definition = {"type": type}
    if precision:
        properties["precision"] = int(precision)
    if head.endswith("!"):
        properties["required"] = True
    for word in words:
        name, _, value = word.partition("=")
        if name in _FLAGS and not value:
            properties[name] = True
        elif name == "enum" and value:
            properties[name] = value.split("|")
        elif name in ("auto", "default") and value:
            properties[name] = value
        else:
            raise ValueError(f"{word!r} in {spec!r} says nothing about a field; see rocket_kernel.testing.factories")
    return properties
