"""Rules -> steps of an entity's pipelines: contract §6.3. An entity without rules gets none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel import (
    Entity,
    Expression,
    ExpressionError,
    Model,
    RelatedLoad,
    Stage,
    Step,
    ValidationFailed,
    Write,
    evaluate_in_write,
    parse_related_load,
    plain,
    record_values,
    truthy,
)
from rocket_rules.operators import FieldCheck
from rocket_rules.order import computing_order
from rocket_rules.rule import AFTER_WRITE, BEFORE_DELETE, BEFORE_WRITE, COMPUTED, EXPRESSION, FIELD, Rule

_FAILED = "rules:failed"
_SPAN = ("engine", "rules", "rules.evaluate")
_CREATE, _UPDATE, _DELETE = "create", "update", "delete"


@dataclass(frozen=True, slots=True)
class BoundExpression:
    """An expression with its relations, or the reason why it cannot be evaluated."""

    expression: Expression | None
    related_load: tuple[RelatedLoad, ...] = ()
    fault: str = ""

    async def value(self, write: Write) -> Any:
        """Raises ExpressionError."""
        if self.expression is None:
            raise ExpressionError(self.fault)
        return await evaluate_in_write(self.expression, write, related_load=self.related_load)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The active rules of one entity and hook, each kind in the order it runs."""

    entity: Entity
    fields: tuple[tuple[Rule, FieldCheck], ...]
    expressions: tuple[tuple[Rule, BoundExpression], ...]
    computed: tuple[tuple[Rule, BoundExpression], ...]

    async def run(self, write: Write) -> None:
        """Add a finding for each rule that fails; compute only when none has in the whole request so far."""
        before = len(write.errors)
        if self.fields:
            self._check_fields(write)
        for rule, bound in self.expressions:
            await _check_expression(rule, bound, write)
        if len(write.errors) > before:
            write.run.stash[_FAILED] = True
        if _FAILED not in write.run.stash:
            for rule, bound in self.computed:
                await self._compute(rule, bound, write)

    def _check_fields(self, write: Write) -> None:
        updating, deleting = write.action == _UPDATE, write.action == _DELETE
        record = record_values(self.entity, write.old if deleting else write.record) or {}
        for rule, check in self.fields:
            if updating and rule.field not in write.supplied:
                continue
            value = record.get(rule.field)
            if not (check.passes(value) if check.asks_for_value or value is not None else True):
                write.fail(rule.message, field=rule.field, rule=check.operator, last=rule.stop_on_fail)

    async def _compute(self, rule: Rule, bound: BoundExpression, write: Write) -> None:
        if rule.field == self.entity.primary_key.field and write.action != _CREATE:
            return  # a key never changes
        try:
            value = plain(await bound.value(write))
        except ExpressionError as error:
            write.fail(_evaluation_error(error), field=rule.field, rule="computed")
            return
        write.assign(rule.field, value)


async def _check_expression(rule: Rule, bound: BoundExpression, write: Write) -> None:
    try:
        violated = truthy(await bound.value(write))
        message = rule.message
    except ExpressionError as error:
        violated, message = True, _evaluation_error(error)
    if violated:
        write.fail(message, rule="expression", last=rule.stop_on_fail)


def _evaluation_error(error: ExpressionError) -> str:
    return f"rule evaluation error: {error.message}"


def compile_steps(entity: Entity, model: Model) -> list[Step]:
    """One step for each hook that has active rules. Raises nothing: what has become invalid fails when it runs."""
    stored = [item for item in model.of("rules").values() if item.item.entity == entity.name and item.item.active]
    stored.sort(key=lambda item: (item.item.priority, item.row["ordinal"]))
    rules = [item.item for item in stored]
    steps = []
    for hook, (stage, actions) in _PLACES.items():
        chosen = [rule for rule in rules if rule.hook == hook]
        if chosen:
            compiled = compile_rules(entity, model, chosen)
            fills = frozenset(rule.field for rule, _ in compiled.computed)
            steps.append(Step(stage, f"rules:{hook}", compiled.run, actions, fills, span=_SPAN))
    return steps


_PLACES: dict[str, tuple[Stage, frozenset[str]]] = {
    BEFORE_WRITE: (Stage.RULES, frozenset({_CREATE, _UPDATE})),
    AFTER_WRITE: (Stage.AFTER_RULES, frozenset({_CREATE, _UPDATE})),
    BEFORE_DELETE: (Stage.RULES, frozenset({_DELETE})),
}


def compile_rules(entity: Entity, model: Model, rules: Sequence[Rule]) -> RuleSet:
    """Rules of one hook, by priority and age."""
    known = [rule for rule in rules if not rule.field or rule.field in entity.fields]
    computed = [rule for rule in known if rule.type == COMPUTED]
    return RuleSet(
        entity=entity,
        fields=tuple((rule, rule.check) for rule in known if rule.type == FIELD and rule.check is not None),
        expressions=tuple((rule, _bind(rule, entity, model)) for rule in known if rule.type == EXPRESSION),
        computed=tuple((rule, _bind(rule, entity, model)) for rule in computing_order(computed, model) or computed),
    )


def _bind(rule: Rule, entity: Entity, model: Model) -> BoundExpression:
    if not isinstance(rule.expression, Expression):
        reason = rule.expression.message if isinstance(rule.expression, ExpressionError) else "there is no expression"
        return BoundExpression(None, fault=reason)
    try:
        loads = parse_related_load(rule.definition.get("related_load"), entity, model)
    except ValidationFailed as error:
        return BoundExpression(None, fault=error.message)
    return BoundExpression(rule.expression, loads)
