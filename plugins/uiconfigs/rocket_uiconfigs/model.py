"""A UI config: which entity and scope it is for, and an object that only clients understand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_kernel import (
    Column,
    ColumnType,
    Conflict,
    Index,
    MetadataKind,
    Model,
    Storage,
    Table,
    ValidationFailed,
    canonical_text,
)
from rocket_uiconfigs.described import UI_CONFIG

KIND = "ui_configs"
DEFAULT_SCOPE = "default"
OWN_NAMES = "_"
"""A name that begins so belongs to no entity: settings of the whole app, such as those of `_app`."""
MAX_NAME = 255
"""Characters of an entity's name and of a scope: both stand in one index, whose entries are limited in size."""

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

UI_CONFIGS = Table(
    name="_ui_configs",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("entity", _TEXT, nullable=False),
        Column("scope", _TEXT, nullable=False, default=DEFAULT_SCOPE),
        Column("config", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
    indexes=(Index("idx__ui_configs_entity_scope", ("entity", "scope"), unique=True),),
)


@dataclass(frozen=True, slots=True)
class UiConfig:
    entity: str
    scope: str
    config: Mapping[str, Any]


def parse_ui_config(body: Mapping[str, Any], model: Model) -> UiConfig:
    """Raises ValidationFailed with the text of the first failing check."""
    entity = body.get("entity")
    if entity is None or entity == "":
        raise ValidationFailed("entity is required")
    if not isinstance(entity, str) or not (entity.startswith(OWN_NAMES) or entity in model.entities):
        raise ValidationFailed(f"entity not found: {_shown(entity)}")
    scope = body.get("scope")
    if scope is None or scope == "":
        scope = DEFAULT_SCOPE
    if not isinstance(scope, str):
        raise ValidationFailed("scope must be a string")
    for name, value in (("entity", entity), ("scope", scope)):
        if len(value) > MAX_NAME:
            raise ValidationFailed(f"{name} must be at most {MAX_NAME} characters")
    config = body.get("config")
    if config is None:
        config = {}
    if not isinstance(config, Mapping):
        raise ValidationFailed("config must be an object")
    return UiConfig(entity, scope, config)


def check_ui_config(item: UiConfig, _former: UiConfig | None, model: Model) -> None:
    """Raises Conflict when another config has entity and scope already."""
    if any((other.entity, other.scope) == (item.entity, item.scope) for other in stored_configs(model)):
        raise Conflict(f"UI config already exists for entity {item.entity} scope {item.scope}")


def stored_configs(model: Model) -> list[UiConfig]:
    return [stored.item for stored in model.of(KIND).values()]


def _load(body: Mapping[str, Any], _model: Model) -> UiConfig:
    return UiConfig(body["entity"], body["scope"], body["config"])


def _label(body: Mapping[str, Any]) -> str:
    return f"{_shown(body.get('entity', ''))}/{_shown(body.get('scope') or DEFAULT_SCOPE)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


UI_CONFIG_KIND: MetadataKind[UiConfig] = MetadataKind(
    name=KIND,
    singular="ui_config",
    path="ui-configs",
    noun="UI config",
    table=UI_CONFIGS,
    rank=160,
    order_by=("entity", "scope"),
    parse=parse_ui_config,
    load=_load,
    body=lambda row: {name: row[name] for name in ("entity", "scope", "config")},
    row=lambda item: {"entity": item.entity, "scope": item.scope, "config": dict(item.config)},
    identity=lambda item: (item.entity, item.scope),
    # As text, because for Python 1, 1.0 and true are equal.
    value=lambda item: canonical_text(item.config),
    export=lambda item: {"entity": item.entity, "scope": item.scope, "config": dict(item.config)},
    label=_label,
    check=check_ui_config,
    entities=lambda item: (item.entity,),
    on_difference="overwrite",
    schema=UI_CONFIG,
)
