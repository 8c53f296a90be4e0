"""The order in which fields are computed: what a rule reads comes first, then priority, then age. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_kernel import Expression, Model
from rocket_rules.rule import Rule


def computing_order(rules: Sequence[Rule], model: Model) -> list[Rule] | None:
    """The rules of one entity in the order they run; None when some wait for each other.

    They come by priority and age, which decides wherever the fields leave it open. A rule may read the field it
    computes: it gets the value so far. A rule that reads the record as a whole waits for nothing.
    """
    waiting = list(rules)
    ordered: list[Rule] = []
    while waiting:
        open_fields = [rule.field for rule in waiting]
        ready = next((rule for rule in waiting if not needs(rule, open_fields, model)), None)
        if ready is None:
            return None
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def cycle_of(rules: Sequence[Rule], model: Model) -> list[str]:
    """Fields that wait for each other in a circle, the first one again at the end."""
    needed = {field: _needed_by(field, rules, model) for field in dict.fromkeys(rule.field for rule in rules)}
    walked: list[str] = []
    stuck = _stuck(needed)
    at = next(field for field in needed if field in stuck)
    while at not in walked:
        walked.append(at)
        at = next(field for field in needed[at] if field in stuck)
    return [*walked[walked.index(at) :], at]


def _stuck(needed: dict[str, list[str]]) -> set[str]:
    """Fields on a circle, or behind one."""
    stuck = set(needed)
    while True:
        free = {field for field in stuck if not stuck.intersection(needed[field])}
        if not free:
            return stuck
        stuck -= free


def _needed_by(field: str, rules: Sequence[Rule], model: Model) -> list[str]:
    fields = [rule.field for rule in rules]
    found: dict[str, None] = {}
    for rule in rules:
        if rule.field == field:
            found.update(dict.fromkeys(needs(rule, fields, model)))
    return list(found)


def needs(rule: Rule, computed: Sequence[str], model: Model) -> list[str]:
    """Those of the computed fields that the rule reads, its own left out."""
    if not isinstance(rule.expression, Expression):
        return []
    reads = set(rule.expression.reads)
    for key in rule.expression.related:
        hop = model.hop(rule.entity, key)
        if hop is not None:
            reads.add(hop.own_field)
    reads.discard(rule.field)
    return [field for field in computed if field in reads]
