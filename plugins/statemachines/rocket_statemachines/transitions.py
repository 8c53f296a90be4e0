"""Where a record may go from here, for the one who asks: contract §8.4."""

from __future__ import annotations

from typing import Any

from rocket_kernel import (
    Access,
    AppContext,
    Call,
    Forbidden,
    NotFound,
    Registry,
    Request,
    Response,
    Session,
    WriteOrder,
    data,
    find_record,
)
from rocket_statemachines.judge import judge_move, state_of
from rocket_statemachines.kind import active_machines
from rocket_statemachines.machine import Machine

Row = dict[str, Any]


async def list_transitions(request: Request) -> Response:
    name, id_text = request.params["entity"], request.params["id"]
    async with request.app.reading(request.actor) as (session, registry):
        entity = registry.entity(name).entity
        access = Access(registry, request.actor)
        access.grant(name)
        record = await find_record(session, registry, entity, id_text, access)
        if record is None:
            raise NotFound(f"{name} with id {id_text} not found")
        readable = access.readable_fields(name, record)
        key = str(record[entity.primary_key.field])
        asked = _Asked(request.app, session, registry, request.call, name, key)
        rows: list[Row] = []
        for machine in active_machines(name, registry.model):
            # A state that the caller may not see shows in none of its transitions.
            if machine.field in readable:
                rows += await asked.rows(machine, record)
    return data(rows)


class _Asked:
    """One record and one caller."""

    def __init__(
        self, app: AppContext, session: Session, registry: Registry, call: Call, entity: str, key: str
    ) -> None:
        self._app = app
        self._session = session
        self._registry = registry
        self._call = call
        self._entity = entity
        self._key = key

    async def rows(self, machine: Machine, record: Row) -> list[Row]:
        state = state_of(record[machine.field])
        rows: list[Row] = []
        for target in machine.targets(state):
            reason = await self._reason(machine, state, target)
            row = {"field": machine.field, "from": state, "to": target, "allowed": reason is None, "reason": reason}
            rows.append(row)
        return rows

    async def _reason(self, machine: Machine, state: str | None, target: str) -> str | None:
        """What `PUT {field: target}` would be refused with by permissions, by the field itself or by the machine."""
        order = WriteOrder("update", self._entity, {machine.field: target}, self._key, by_key=True)
        try:
            write = await self._app.rehearse_update(order, self._call, self._session, self._registry)
        except Forbidden as refusal:
            return refusal.message
        for finding in write.errors:
            if finding.field == machine.field and finding.rule in ("forbidden", "type", "enum"):
                return finding.message
        verdict = await judge_move(machine, write, state, target)
        return verdict.problem or None
