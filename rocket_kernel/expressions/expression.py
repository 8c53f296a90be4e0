"""A compiled expression: parsed and checked once, evaluated any number of times, in any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel.expressions.compile import Compiler
from rocket_kernel.expressions.errors import ExpressionError, Fault
from rocket_kernel.expressions.functions import Function
from rocket_kernel.expressions.limits import MAX_STEPS
from rocket_kernel.expressions.parse import parse
from rocket_kernel.expressions.scope import Scope
from rocket_kernel.expressions.work import Frame, Work


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    source: str
    names: frozenset[str]
    """Names of its place that it uses."""
    related: frozenset[str]
    """Keys behind `related`."""
    reads: frozenset[str]
    """Fields of `record` and `changes` that it names."""
    reads_all: bool
    """It takes `record` or `changes` as a whole, or by a key that is computed."""
    _run: Callable[[Frame], Any] = field(repr=False)
    _steps: int = field(repr=False)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value, from the values of the names; an absent name is null. Pure: nothing handed in is changed.

        Instants are datetimes in UTC; lists and maps may hold JSON values. Raises ExpressionError.
        """
        try:
            return self._run(Frame(values, Work(self._steps)))
        except Fault as fault:
            raise fault.shown(self.source) from None
        except RecursionError:
            raise ExpressionError("nested too deeply") from None


def compile_expression(source: str, scope: Scope, functions: Mapping[str, Function] | None = None) -> Expression:
    """Parse a source and check it against the place where it stands. Raises ExpressionError with line and column.

    `functions` are those of plugins; by default the ones that the scope's model brings.
    """
    try:
        tree, nodes = parse(source)
        compiler = Compiler(scope, scope.functions if functions is None else functions, nodes)
        run = compiler.build(tree)
    except Fault as fault:
        raise fault.shown(source) from None
    except RecursionError:
        raise ExpressionError("nested too deeply") from None
    return Expression(
        source=source,
        names=frozenset(compiler.names),
        related=frozenset(compiler.related),
        reads=frozenset(compiler.reads),
        reads_all=compiler.reads_all,
        _run=run,
        _steps=MAX_STEPS - nodes,
    )
