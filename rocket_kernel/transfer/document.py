"""The export document: contract §14.1. Built from the declared kinds alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.errors import InvalidPayload, ValidationFailed
from rocket_kernel.metadata.catalog import Kinds
from rocket_kernel.metadata.field import shown
from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS, MetadataKind
from rocket_kernel.metadata.model import ENTITIES, RELATIONS, Model
from rocket_kernel.store.canonical_json import dumps

VERSION = 1
SAMPLE_DATA = "sample_data"


@dataclass(frozen=True, slots=True)
class Document:
    """`sections` by name; `sample_data` by entity, table or join table."""

    sections: Mapping[str, list[Any]]
    sample_data: Mapping[str, Any]


def section_names(kinds: Kinds) -> list[str]:
    """Every section in its fixed order, those of absent plugins of the contract included."""
    fixed = [ENTITIES, RELATIONS, *CONTRACT_PLUGINS]
    return [*fixed, *(kind.name for kind in kinds.ordered if kind.name not in fixed)]


def parse_document(body: Mapping[str, Any], kinds: Kinds) -> Document:
    """The bare document, or one under `data`. Raises InvalidPayload or ValidationFailed."""
    if "data" in body:
        inner = body["data"]
        if not isinstance(inner, Mapping):
            raise InvalidPayload("object expected")
        body = inner
    version = body.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        raise ValidationFailed(f"Unsupported schema version: {shown(_printable(version))}")
    sections: dict[str, list[Any]] = {}
    for name in section_names(kinds):
        section = body.get(name)
        if section is None:
            section = []
        if not isinstance(section, list):
            raise InvalidPayload(f"{name}: array expected")
        sections[name] = json_text.plain(section)
    sample_data = body.get(SAMPLE_DATA)
    if sample_data is None:
        sample_data = {}
    if not isinstance(sample_data, Mapping):
        raise InvalidPayload(f"{SAMPLE_DATA}: object expected")
    return Document(sections, sample_data)


def _printable(value: Any) -> Any:
    return value.text if isinstance(value, json_text.JsonFloat) else json_text.plain(value)


def export_document(model: Model, kinds: Kinds, exported_at: str) -> dict[str, Any]:
    """Metadata only: no ids, users, secrets, logs or records."""
    document: dict[str, Any] = {"version": VERSION, "exported_at": exported_at}
    for name in section_names(kinds):
        kind = kinds.named(name)
        document[name] = _exported(kind, model) if kind is not None else []
    return document


def _exported(kind: MetadataKind[Any], model: Model) -> list[Mapping[str, Any]]:
    items = [stored.item for stored in model.of(kind.name).values()]
    entries = [(canonical_text(kind.identity(item)), dict(kind.export(item))) for item in items]
    return [entry for _, entry in sorted(entries, key=lambda pair: (pair[0], canonical_text(pair[1])))]


def canonical_text(value: Any) -> str:
    """One text for equal JSON values, whatever the order of their members."""
    return dumps(list(value) if isinstance(value, (tuple, frozenset)) else value)
