"""What a caller may write: the steps by which an entity's pipelines ask its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rocket_auth.permissions.rules import CHECK, Grant, Rules, union
from rocket_kernel import NEVER, Actor, NotFound, Stage, Step, Write, WriteGrant

_GRANTS = "auth:grants"
_CREATE = frozenset({"create"})
_OF_STORED_ROWS = frozenset({"update", "delete"})
_ALL = _CREATE | _OF_STORED_ROWS
_OPEN = WriteGrant()


@dataclass(frozen=True, slots=True, eq=False)
class WriteRules:
    """Rows that an `on_delete` takes along reach none of the steps of `authorize` and `load`."""

    rules: Mapping[str, Rules]
    """By action."""

    def steps(self) -> list[Step]:
        return [
            Step(Stage.AUTHORIZE, "auth:permission:role", self.require_role, _ALL, span=CHECK),
            Step(Stage.LOAD, "auth:permission:row", self.require_row, _OF_STORED_ROWS, span=CHECK),
            Step(Stage.POLICY, "auth:permission:record", self.require_record, _CREATE, span=CHECK),
        ]

    def grant(self, actor: Actor, action: str) -> WriteGrant:
        """What the steps will let pass for some record. Raises Forbidden."""
        if actor.is_admin:
            return _OPEN
        rules = self.rules[action]
        possible = [grant for grant in rules.grants(actor) if grant.condition != NEVER]
        if not possible:
            raise rules.refusal()
        return WriteGrant(union(possible))

    async def require_role(self, write: Write) -> None:
        """Some rule must name a role of the caller."""
        if write.actor.is_admin:
            return
        grants = write.stash[_GRANTS] = self.rules[write.action].grants(write.actor)
        if write.action == "create":
            # Which rules hold shows when the record is complete; until then a client may give what any of them allows.
            _limit(write, grants)

    async def require_row(self, write: Write) -> None:
        """The conditions of some rule must hold for the stored row, which nobody else changes meanwhile."""
        if write.actor.is_admin:
            return
        holding = [grant for grant in write.stash[_GRANTS] if grant.holds_for(write.old or {})]
        if not holding:
            raise self._refusal(write)
        _limit(write, holding)

    async def require_record(self, write: Write) -> None:
        """The conditions of some rule must hold for the complete new record."""
        if write.actor.is_admin:
            return
        holding = [grant for grant in write.stash[_GRANTS] if grant.holds_for(write.record)]
        if not holding:
            raise self.rules[write.action].refusal()
        allowed = union(holding)
        if allowed is None:
            return
        for name in write.entity.fields:
            if name in write.supplied and name not in allowed:
                write.fail(f"No permission to write {name}", field=name, rule="forbidden")

    def _refusal(self, write: Write) -> Exception:
        """Who may read nothing of the entity does not learn that the row is there."""
        if write.run.access.may_read(write.entity.name):
            return self.rules[write.action].refusal()
        return NotFound(f"{write.entity.name} with id {write.id_text} not found")


def _limit(write: Write, grants: Sequence[Grant]) -> None:
    allowed = union(grants)
    if allowed is not None:
        write.limit(allowed)
