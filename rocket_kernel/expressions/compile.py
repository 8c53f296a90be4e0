"""Tree -> closures. Every name, function, method, field, relation key, pattern and `e` is checked here.

Each node becomes one callable of a Frame. There is no loop but over lists, so the work of an evaluation is bounded by
the size of the tree, plus the size of an `e` for each element, which `Work` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rocket_kernel.expressions import operators
from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.forms import FORM_BUILDERS
from rocket_kernel.expressions.functions import MATH, METHODS, NATIVE, Function, require_count
from rocket_kernel.expressions.members import element, member
from rocket_kernel.expressions.parse import parse
from rocket_kernel.expressions.patterns import PatternError, compile_pattern
from rocket_kernel.expressions.plugin_calls import call_function
from rocket_kernel.expressions.scope import RECORD_NAMES, RELATED, Scope
from rocket_kernel.expressions.syntax import (
    Call,
    Chain,
    Comparison,
    Conditional,
    Index,
    ListOf,
    Literal,
    MapOf,
    Member,
    Method,
    Name,
    Node,
    Path,
    Unary,
)
from rocket_kernel.expressions.values import RecordMap, value_of
from rocket_kernel.expressions.work import Frame

Run = Callable[[Frame], Any]
Step = Callable[[Frame, Any], Any]

ITEM = "item"
_MAX_TREE = 200
"""Levels of the tree; evaluation takes one frame of the interpreter for each."""


class Compiler:
    def __init__(self, scope: Scope, functions: Mapping[str, Function], nodes: int) -> None:
        self.scope = scope
        self.nodes = nodes
        self.names: set[str] = set()
        self.related: set[str] = set()
        self.reads: set[str] = set()
        """Fields of `record` and `changes`."""
        self.reads_all = False
        """`record` or `changes` is taken as a whole."""
        self._functions = functions
        self._elements: list[frozenset[str] | None] = []
        """Of each `e` around: the names its elements have, None when any."""
        self._depth = 0

    def build(self, node: Node) -> Run:
        """Raises Fault with an offset of the source."""
        self._depth += 1
        if self._depth > _MAX_TREE:
            raise Fault("nested too deeply", node.at)
        run = _BUILDERS[type(node)](self, node)
        self._depth -= 1
        return run

    def body(self, literal: Literal, fields: frozenset[str] | None) -> tuple[Run, int]:
        """The expression in a string, and the steps it takes for one element."""
        before = self.nodes
        tree, self.nodes = parse(
            str(literal.value), origins=literal.origins, depth=len(self._elements) + 1, nodes=before
        )
        self._elements.append(fields)
        run = self.build(tree)
        self._elements.pop()
        return run, self.nodes - before + 1

    def element_fields(self, node: Node) -> frozenset[str] | None:
        """The names every element of a list has, where the metadata tells."""
        match node:
            case Call(function="filter", arguments=(inner, _)):
                return self.element_fields(inner)
            case Path(base=Name(name="related"), steps=(step,)):
                key = _static_key(step)
                return None if key is None else self.scope.element_fields(key)
        return None

    # -- one method a kind of node --

    def literal(self, node: Literal) -> Run:
        value = node.value
        return lambda frame: value

    def name(self, node: Name) -> Run:
        name = node.name
        if name in RECORD_NAMES and name != "old" and name in self.scope.names:
            self.reads_all = True
        if name == RELATED and RELATED in self.scope.names and self.scope.relates:
            raise Fault("related needs a relation key behind it", node.at)
        return self._known_name(node)

    def _known_name(self, node: Name) -> Run:
        name = node.name
        known = name in self.scope.names
        if not known and not self._is_element_name(name):
            raise Fault(f"unknown name: {name}", node.at)
        if known:
            self.names.add(name)
        if not self._elements:
            return lambda frame: value_of(frame.values.get(name))
        if name == ITEM:
            return lambda frame: frame.item
        return lambda frame: look_up(frame, name)

    def _is_element_name(self, name: str) -> bool:
        if not self._elements:
            return False
        return name == ITEM or any(fields is None or name in fields for fields in self._elements)

    def list_of(self, node: ListOf) -> Run:
        items = tuple([self.build(item) for item in node.items])

        def run(frame: Frame) -> Any:
            return [item(frame) for item in items]

        return run

    def map_of(self, node: MapOf) -> Run:
        entries = tuple([(key, self.build(value)) for key, value in node.entries])

        def run(frame: Frame) -> Any:
            return {key: value(frame) for key, value in entries}

        return run

    def path(self, node: Path) -> Run:
        owner = node.base.name if isinstance(node.base, Name) else ""
        if isinstance(node.base, Name) and owner in self.scope.names and not self._is_certain_element(owner):
            self._check_key(owner, node.steps[0])
            base = self._known_name(node.base)
        else:
            base = self.build(node.base)
        if owner and not self._elements and len(node.steps) == 1 and isinstance(node.steps[0], Member):
            return _plain_member(owner, node.steps[0].name)
        steps = tuple([self._step(step) for step in node.steps])

        def run(frame: Frame) -> Any:
            value = base(frame)
            for step in steps:
                value = step(frame, value)
            return value

        return run

    def _is_certain_element(self, name: str) -> bool:
        return any(fields is not None and name in fields for fields in self._elements)

    def _check_key(self, owner: str, step: Member | Index | Method) -> None:
        """What stands behind `record`, `old`, `changes` and `related`."""
        key = _static_key(step)
        if owner in RECORD_NAMES:
            if key is not None and not self.scope.has_field(key):
                raise Fault(f"unknown field: {key}", step.at)
            if owner != "old" and key is not None:
                self.reads.add(key)
            elif owner != "old":
                self.reads_all = True
        elif owner == RELATED and self.scope.relates:
            if key is None:
                raise Fault("related needs a relation key behind it", step.at)
            if not self.scope.has_relation(key):
                raise Fault(f"unknown relation: {key}", step.at)
            self.related.add(key)

    def _step(self, step: Member | Index | Method) -> Step:
        match step:
            case Member(name=name):
                return lambda frame, value: member(value, name)
            case Index(index=index):
                position = self.build(index)
                return lambda frame, value: element(value, position(frame))
        return self._method(step)

    def _method(self, step: Method) -> Step:
        found = METHODS.get(step.name)
        if found is None:
            raise Fault(f"unknown method: {step.name}", step.at)
        call, count = found
        require_count(step.name, len(step.arguments), count, count, step.at)
        arguments = tuple([self.build(argument) for argument in step.arguments])
        at = step.at

        def run(frame: Frame, value: Any) -> Any:
            if value is None:
                return None
            given = [argument(frame) for argument in arguments]
            try:
                return call(frame.work, value, *given)
            except Fault as fault:
                raise fault.placed(at) from None

        return run

    def unary(self, node: Unary) -> Run:
        return operators.unary(node.operator, self.build(node.operand), node.at)

    def chain(self, node: Chain) -> Run:
        first = self.build(node.first)
        rest = [(step.operator, self.build(step.value), step.at) for step in node.rest]
        return operators.chain(first, rest)

    def comparison(self, node: Comparison) -> Run:
        left = self.build(node.left)
        if node.operator == "matches" and isinstance(node.right, Literal):
            self._check_pattern(node.right)
        return operators.comparison(node.operator, left, self.build(node.right), node.at)

    def _check_pattern(self, literal: Literal) -> None:
        if not isinstance(literal.value, str):
            return
        try:
            compile_pattern(literal.value)
        except PatternError as error:
            raise Fault(f"invalid pattern: {error}", literal.at) from None

    def conditional(self, node: Conditional) -> Run:
        branches = [(self.build(test), self.build(value)) for test, value in node.branches]
        return operators.conditional(branches, self.build(node.otherwise))

    def call(self, node: Call) -> Run:
        name = node.function.removeprefix("Math.")
        if name != node.function and name not in MATH:
            raise Fault(f"unknown function: {node.function}", node.at)
        if name in FORM_BUILDERS:
            return FORM_BUILDERS[name](self, node, name)
        native = NATIVE.get(name)
        if native is not None:
            require_count(name, len(node.arguments), native.least, native.most, node.at)
            if name == "matches" and isinstance(node.arguments[1], Literal):
                self._check_pattern(node.arguments[1])
            return self._native(native.call, node)
        function = self._functions.get(name)
        if function is None:
            raise Fault(f"unknown function: {name}", node.at)
        require_count(name, len(node.arguments), function.least, function.most, node.at)
        return self._native(lambda work, *given: call_function(function, given, work), node)

    def _native(self, call: Callable[..., Any], node: Call) -> Run:
        arguments = tuple([self.build(argument) for argument in node.arguments])
        at = node.at

        def run(frame: Frame) -> Any:
            given = [argument(frame) for argument in arguments]
            try:
                return call(frame.work, *given)
            except Fault as fault:
                raise fault.placed(at) from None

        return run


def look_up(frame: Frame, name: str) -> Any:
    """A name inside an `e`: keys of the elements from the inside out, then the values handed in."""
    at: Frame = frame
    while at.outer is not None:
        item = at.item
        if isinstance(item, Mapping) and name in item:
            return value_of(item.get(name))
        at = at.outer
    return value_of(at.values.get(name))


def _static_key(step: Member | Index | Method) -> str | None:
    match step:
        case Member(name=name):
            return name
        case Index(index=Literal(value=str() as key)):
            return key
    return None


def _plain_member(owner: str, name: str) -> Run:
    """`record.qty`, the most frequent of all."""

    def run(frame: Frame) -> Any:
        value = frame.values.get(owner)
        if type(value) is RecordMap:
            return value.get(name)
        return member(value_of(value), name)

    return run


_BUILDERS: Mapping[type[Any], Callable[[Compiler, Any], Run]] = {
    Literal: Compiler.literal,
    Name: Compiler.name,
    ListOf: Compiler.list_of,
    MapOf: Compiler.map_of,
    Path: Compiler.path,
    Unary: Compiler.unary,
    Chain: Compiler.chain,
    Comparison: Compiler.comparison,
    Conditional: Compiler.conditional,
    Call: Compiler.call,
}
