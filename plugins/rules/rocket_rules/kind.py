"""Rules as a metadata kind: from this the kernel gives table, admin endpoints, export, import and plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Column, ColumnType, Index, MetadataKind, Model, Storage, Table, canonical_text
from rocket_rules.described import RULE
from rocket_rules.order import computing_order, cycle_of
from rocket_rules.parse import load_rule, parse_rule, refuse, shown
from rocket_rules.rule import BEFORE_WRITE, COMPUTED, EXPRESSION, Rule

NAME = "rules"
ORDINAL = "ordinal"

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

RULES = Table(
    name="_rules",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("entity", _TEXT, nullable=False, references="_entities.name"),
        Column("hook", _TEXT, nullable=False, default=BEFORE_WRITE),
        Column("type", _TEXT, nullable=False),
        Column("definition", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("priority", ColumnType(Storage.INTEGER), nullable=False, default=0),
        Column("active", ColumnType(Storage.BOOLEAN), nullable=False, default=True),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
        Column(ORDINAL, ColumnType(Storage.INTEGER), nullable=False, default=0),
    ),
    primary_key=("id",),
    indexes=(Index("idx__rules_entity", ("entity",)),),
)

_GIVEN = ("entity", "hook", "type", "definition", "priority", "active")


def _row(rule: Rule) -> Mapping[str, Any]:
    return {
        "entity": rule.entity,
        "hook": rule.hook,
        "type": rule.type,
        "definition": dict(rule.definition),
        "priority": rule.priority,
        "active": rule.active,
    }


def _identity(rule: Rule) -> tuple[str, str, str, str]:
    return rule.entity, rule.hook, rule.type, canonical_text(_complete(rule))


def _complete(rule: Rule) -> Mapping[str, Any]:
    """The definition with its defaults, so that leaving one out is the same as giving it."""
    if rule.type == COMPUTED:
        return rule.definition
    known: dict[str, Any] = {**rule.definition, "message": rule.message, "stop_on_fail": rule.stop_on_fail}
    if rule.type == EXPRESSION:
        known["related_load"] = known.get("related_load") or []
    elif rule.check is not None and rule.check.asks_for_value:
        known.pop("value", None)
    return known


def _check(rule: Rule, former: Rule | None, model: Model) -> None:
    """Computed fields must not wait for each other. `model` is without the rule."""
    if rule.type != COMPUTED or not rule.active:
        return
    others = [stored.item for stored in model.of(NAME).values()]
    computed = [other for other in others if other.entity == rule.entity and other.type == COMPUTED and other.active]
    ordered = computing_order([*computed, rule], model)
    if ordered is None:
        path = " -> ".join(cycle_of([*computed, rule], model))
        raise refuse(f"computed fields depend on each other: {path}", at="definition.expression")


def _label(body: Mapping[str, Any]) -> str:
    return f"{shown(body.get('entity'))}/{shown(body.get('type'))}"


RULE_KIND: MetadataKind[Rule] = MetadataKind(
    name=NAME,
    singular="rule",
    path="rules",
    noun="Rule",
    table=RULES,
    rank=110,
    order_by=("entity", "priority", ORDINAL),
    ordinal=ORDINAL,
    parse=parse_rule,
    load=load_rule,
    body=lambda row: {key: row[key] for key in _GIVEN},
    row=_row,
    identity=_identity,
    value=lambda rule: (rule.priority, rule.active),
    export=_row,
    label=_label,
    check=_check,
    entities=lambda rule: (rule.entity,),
    hidden=(ORDINAL,),
    schema=RULE,
)
