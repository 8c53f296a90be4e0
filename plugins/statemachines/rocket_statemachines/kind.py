"""State machines as a collection of metadata."""

from __future__ import annotations

from collections.abc import Mapping
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
    canonical_text,
)
from rocket_statemachines.build import load_machine, parse_machine
from rocket_statemachines.definition_schema import STATE_MACHINE
from rocket_statemachines.machine import Machine

KIND = "state_machines"
NOUN = "State machine"

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)
_OWN = ("entity", "field", "definition", "active")

STATE_MACHINES = Table(
    name="_state_machines",
    columns=(
        Column("id", ColumnType(Storage.UUID), nullable=False),
        Column("entity", _TEXT, nullable=False, references="_entities.name"),
        Column("field", _TEXT, nullable=False),
        Column("definition", ColumnType(Storage.DOCUMENT), nullable=False),
        Column("active", ColumnType(Storage.BOOLEAN), nullable=False, default=True),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("id",),
    indexes=(Index("idx__state_machines_entity_field", ("entity", "field"), unique=True),),
)


def machines_of(model: Model) -> list[Machine]:
    return [stored.item for stored in model.of(KIND).values()]


def active_machines(entity: str, model: Model) -> list[Machine]:
    """Of one entity, by field."""
    found = [machine for machine in machines_of(model) if machine.entity == entity and machine.active]
    return sorted(found, key=lambda machine: machine.field)


def _check(machine: Machine, _former: Machine | None, others: Model) -> None:
    if any((other.entity, other.field) == (machine.entity, machine.field) for other in machines_of(others)):
        raise Conflict(f"State machine already exists: {machine.entity}.{machine.field}")


def _row(machine: Machine) -> Mapping[str, Any]:
    return {
        "entity": machine.entity,
        "field": machine.field,
        "definition": dict(machine.definition),
        "active": machine.active,
    }


def _value(machine: Machine) -> object:
    """What counts: a list of one state is that state, and what is empty is absent."""
    transitions = [_plain(transition) for transition in machine.definition["transitions"]]
    return machine.active, canonical_text({**machine.definition, "transitions": transitions})


def _plain(transition: Mapping[str, Any]) -> Mapping[str, Any]:
    kept = {
        key: value
        for key, value in transition.items()
        if key not in ("roles", "guard", "actions") or value not in (None, "", [])
    }
    sources = transition["from"]
    return {**kept, "from": [sources] if isinstance(sources, str) else sources}


def _label(body: Mapping[str, Any]) -> str:
    names = (body.get(key, "") for key in ("entity", "field"))
    return "/".join(name if isinstance(name, str) else canonical_text(name) for name in names)


STATE_MACHINE_KIND: MetadataKind[Machine] = MetadataKind(
    name=KIND,
    singular="state_machine",
    path="state-machines",
    noun=NOUN,
    table=STATE_MACHINES,
    rank=120,
    order_by=("entity", "field"),
    parse=parse_machine,
    load=load_machine,
    body=lambda row: {name: row[name] for name in _OWN},
    row=_row,
    identity=lambda machine: (machine.entity, machine.field),
    value=_value,
    export=_row,
    label=_label,
    check=_check,
    uses_field=lambda machine, entity, field: "a state machine" if (entity, field) in machine.uses else None,
    entities=lambda machine: (machine.entity,),
    schema=STATE_MACHINE,
)
