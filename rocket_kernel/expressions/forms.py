"""Functions that are more than a function of their values: those with an `e`, and those that know the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rocket_kernel.expressions import numbers
from rocket_kernel.expressions.compare import ordered
from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.functions import require_count, require_list, to_instant
from rocket_kernel.expressions.syntax import Call, Chain, Comparison, Literal, Name, Node, Path, Unary
from rocket_kernel.expressions.values import as_number, is_list, kind_name, truthy, value_of
from rocket_kernel.expressions.work import Frame, Work, require_list_size
from rocket_kernel.store.columns import Storage

if TYPE_CHECKING:
    from rocket_kernel.expressions.compile import Compiler

Run = Callable[[Frame], Any]


class _Each:
    """An `e`, applied to the elements of a list; without one, the elements themselves."""

    __slots__ = ("body", "name", "steps")

    def __init__(self, name: str, body: Run | None, steps: int) -> None:
        self.name = name
        self.body = body
        self.steps = steps

    def values(self, frame: Frame, given: Any) -> Iterator[Any]:
        return (value for _, value in self.pairs(frame, given))

    def pairs(self, frame: Frame, given: Any) -> Iterator[tuple[Any, Any]]:
        """Each element with what `e` makes of it. Raises Fault."""
        items = require_list(self.name, given)
        require_list_size(len(items))
        body, steps, work = self.body, self.steps, frame.work
        inner = Frame(frame.values, work, frame)
        for raw in items:
            work.spend(steps)
            inner.item = value_of(raw)
            yield raw, inner.item if body is None else body(inner)


def _each(compiler: Compiler, node: Call, name: str, *, needed: bool) -> tuple[Run, _Each]:
    """The list argument and the `e` behind it."""
    require_count(name, len(node.arguments), 2 if needed else 1, 2, node.at)
    items = compiler.build(node.arguments[0])
    if len(node.arguments) == 1:
        return items, _Each(name, None, 1)
    body = node.arguments[1]
    if not (isinstance(body, Literal) and isinstance(body.value, str)):
        raise Fault(f"the second argument of {name} must be an expression in a string", body.at)
    run, steps = compiler.body(body, compiler.element_fields(node.arguments[0]))
    return items, _Each(name, run, steps)


def _placed(run: Run, at: int) -> Run:
    def placed(frame: Frame) -> Any:
        try:
            return run(frame)
        except Fault as fault:
            raise fault.placed(at) from None

    return placed


def _any(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=True)

    def run(frame: Frame) -> bool:
        return any(truthy(value) for value in each.values(frame, items(frame)))

    return _placed(run, node.at)


def _all(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=True)

    def run(frame: Frame) -> bool:
        return all(truthy(value) for value in each.values(frame, items(frame)))

    return _placed(run, node.at)


def _filter(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=True)

    def run(frame: Frame) -> list[Any]:
        return [item for item, value in each.pairs(frame, items(frame)) if truthy(value)]

    return _placed(run, node.at)


def _map(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=True)
    return _placed(lambda frame: list(each.values(frame, items(frame))), node.at)


def _sum(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=False)
    return _placed(lambda frame: _total(name, each.values(frame, items(frame)), frame.work)[0], node.at)


def _avg(compiler: Compiler, node: Call, name: str) -> Run:
    items, each = _each(compiler, node, name, needed=False)

    def run(frame: Frame) -> Decimal | None:
        total, count = _total(name, each.values(frame, items(frame)), frame.work)
        return numbers.divide(total, Decimal(count)) if count else None

    return _placed(run, node.at)


def _total(name: str, values: Iterator[Any], work: Work) -> tuple[Decimal, int]:
    total, count = numbers.ZERO, 0
    for value in values:
        if value is None:
            continue
        number = as_number(value, work)
        if number is None:
            raise Fault(f"{name} needs numbers, not {kind_name(value)}")
        try:
            total = numbers.ADD(total, number)
        except numbers.SIGNALS:
            raise Fault(numbers.OUT_OF_RANGE) from None
        count += 1
    return total, count


def _extreme(compiler: Compiler, node: Call, name: str) -> Run:
    """`min` and `max`: of a list, perhaps by an `e`, or of two or more arguments."""
    require_count(name, len(node.arguments), 1, None, node.at)
    choose = _smallest if name == "min" else _largest
    second = node.arguments[1] if len(node.arguments) == 2 else None
    by_body = isinstance(second, Literal) and isinstance(second.value, str)
    if len(node.arguments) == 1:
        items, each = _each(compiler, node, name, needed=False)
        return _placed(lambda frame: choose(name, each.values(frame, items(frame)), frame.work), node.at)
    if not by_body or _is_scalar(compiler, node.arguments[0]):
        runs = tuple([compiler.build(argument) for argument in node.arguments])
        return _placed(lambda frame: choose(name, iter([run(frame) for run in runs]), frame.work), node.at)
    items, each = _each(compiler, node, name, needed=True)
    other = second.value if isinstance(second, Literal) else None

    def run(frame: Frame) -> Any:
        given = items(frame)
        if given is None or is_list(given):
            return choose(name, each.values(frame, given), frame.work)
        return choose(name, iter((given, other)), frame.work)

    return _placed(run, node.at)


def _is_scalar(compiler: Compiler, node: Node) -> bool:
    """Whether a value can never be a list, so that a text behind it is no `e`."""
    match node:
        case Literal() | Comparison() | Unary():
            return True
        case Chain(rest=(first, *_)):
            return first.operator in "+-*/%"
        case Path(base=Name(name="record" | "old"), steps=(step,)) if compiler.scope.entity is not None:
            field = compiler.scope.entity.fields.get(getattr(step, "name", ""))
            return field is not None and field.type.storage not in (Storage.JSON, Storage.DOCUMENT)
    return False


def _smallest(name: str, values: Iterator[Any], work: Work) -> Any:
    return _chosen(name, values, work, smallest=True)


def _largest(name: str, values: Iterator[Any], work: Work) -> Any:
    return _chosen(name, values, work, smallest=False)


def _chosen(name: str, values: Iterator[Any], work: Work, *, smallest: bool) -> Any:
    best: Any = None
    for value in values:
        if value is None:
            continue
        number = as_number(value, work)
        value = value if number is None else number  # noqa: PLW2901 - numeric text counts as the number
        if best is None:
            pair = ordered(value, value, work)
            best = value
        else:
            pair = ordered(value, best, work)
        if pair is None:
            raise Fault(f"{name} cannot compare {kind_name(value)} and {kind_name(best)}")
        if pair[0] < pair[1] if smallest else pair[0] > pair[1]:
            best = value
    return best


def _now(compiler: Compiler, node: Call, name: str) -> Run:
    arguments = _at_most_one(compiler, node, name)
    if arguments:
        (given,) = arguments
        return _placed(lambda frame: to_instant(frame.work, given(frame)), node.at)
    if "now" not in compiler.scope.names:
        raise Fault(f"unknown function: {name}", node.at)
    compiler.names.add("now")
    at = node.at

    def run(frame: Frame) -> datetime:
        now = frame.values.get("now")
        if type(now) is not datetime:
            raise Fault("the time is not known here", at)
        return now.replace(hour=0, minute=0, second=0, microsecond=0) if name == "today" else now

    return run


def _at_most_one(compiler: Compiler, node: Call, name: str) -> Sequence[Run]:
    require_count(name, len(node.arguments), 0, 1 if name == "new Date" else 0, node.at)
    return [compiler.build(argument) for argument in node.arguments]


FORM_BUILDERS: Mapping[str, Callable[[Compiler, Call, str], Run]] = {
    "any": _any,
    "all": _all,
    "filter": _filter,
    "map": _map,
    "sum": _sum,
    "avg": _avg,
    "min": _extreme,
    "max": _extreme,
    "now": _now,
    "today": _now,
    "new Date": _now,
}
