"""Permissions as they are defined, stored and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_auth.described import PERMISSION
from rocket_auth.permissions.conditions import compile_condition, refused, shown
from rocket_auth.permissions.fields import compile_fields
from rocket_kernel import (
    Column,
    ColumnType,
    MetadataKind,
    Model,
    Storage,
    Table,
    ValidationFailed,
    canonical_text,
)

PERMISSIONS = "permissions"
ACTIONS = ("read", "create", "update", "delete")
MAX_CONDITIONS = 50
"""As many as filters in a request."""

_TEXT = ColumnType(Storage.TEXT)
_DOCUMENT = ColumnType(Storage.DOCUMENT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

PERMISSIONS_TABLE = Table(
    name="_permissions",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("entity", _TEXT, nullable=False),
        Column("action", _TEXT, nullable=False),
        Column("roles", _DOCUMENT, nullable=False),
        Column("conditions", _DOCUMENT, nullable=False),
        Column("fields", _DOCUMENT),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
)


@dataclass(frozen=True, slots=True)
class Permission:
    """One row: what it says, as JSON values. Compiled against its entity whenever metadata changes."""

    entity: str
    action: str
    roles: tuple[str, ...]
    """As given; see `granted_to`."""
    conditions: Sequence[Any]
    fields: Any

    @property
    def granted_to(self) -> frozenset[str]:
        """Lower case: role names compare without regard to it."""
        return frozenset(role.lower() for role in self.roles)

    @property
    def row(self) -> dict[str, Any]:
        return {
            "entity": self.entity,
            "action": self.action,
            "roles": list(self.roles),
            "conditions": list(self.conditions),
            "fields": self.fields,
        }


def parse_permission(body: Mapping[str, Any], model: Model) -> Permission:
    """Raises ValidationFailed with the first failing check of contract §10.5."""
    name, action = body.get("entity"), body.get("action")
    for key, value in (("entity", name), ("action", action)):
        if value is None or value == "":
            raise ValidationFailed(f"{key} is required")
    if action not in ACTIONS:
        raise ValidationFailed(f"action must be {', '.join(ACTIONS[:-1])}, or {ACTIONS[-1]}")
    entity = model.entities.get(name) if isinstance(name, str) else None
    if entity is None:
        raise ValidationFailed(f"entity not found: {shown(name)}")
    roles = body.get("roles")
    if not isinstance(roles, list) or not all(isinstance(role, str) and role for role in roles):
        raise ValidationFailed("roles must be a list of strings")
    conditions = body.get("conditions")
    conditions = [] if conditions is None else conditions
    if not isinstance(conditions, list):
        raise refused("conditions must be a list", at="conditions")
    if len(conditions) > MAX_CONDITIONS:
        raise refused(f"too many conditions (max {MAX_CONDITIONS})", at="conditions")
    for position, condition in enumerate(conditions):
        compile_condition(condition, entity, at=f"conditions[{position}]")
    fields = body.get("fields")
    compile_fields(fields, entity, action)
    return Permission(entity.name, action, tuple(roles), conditions, fields)


def load_permission(body: Mapping[str, Any], _model: Model) -> Permission:
    """A stored row as it stands: what can no longer be asked denies, see `compile_rule`."""
    roles, conditions = body["roles"], body["conditions"]
    return Permission(
        entity=body["entity"],
        action=body["action"],
        roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        conditions=conditions if isinstance(conditions, list) else [conditions],
        fields=body["fields"],
    )


def _body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: row[name] for name in ("entity", "action", "roles", "conditions", "fields")}


def _identity(permission: Permission) -> tuple[str, ...]:
    """Roles count as a set."""
    return (
        permission.entity,
        permission.action,
        canonical_text(sorted(permission.granted_to)),
        canonical_text(list(permission.conditions)),
        canonical_text(permission.fields),
    )


def _label(body: Mapping[str, Any]) -> str:
    return f"{shown(body.get('entity', ''))}/{shown(body.get('action', ''))}"


PERMISSION_KIND: MetadataKind[Permission] = MetadataKind(
    name=PERMISSIONS,
    singular="permission",
    path="permissions",
    noun="Permission",
    table=PERMISSIONS_TABLE,
    rank=140,
    order_by=("entity", "action", "created_at", "id"),
    parse=parse_permission,
    load=load_permission,
    body=_body,
    row=lambda permission: permission.row,
    identity=_identity,
    value=_identity,
    export=lambda permission: permission.row,
    label=_label,
    entities=lambda permission: (permission.entity,),
    schema=PERMISSION,
)
