"""Tree -> source. What is printed parses to an equal tree."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rocket_kernel.expressions.numbers import number_text
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

# How tightly a node holds together; what stands inside a tighter one needs brackets.
_CONDITIONAL, _COALESCE, _OR, _AND, _NOT, _COMPARED, _SUM, _TERM, _UNARY, _POSTFIX = range(10)
_CHAINS = {"??": _COALESCE, "or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _TERM, "/": _TERM, "%": _TERM}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def print_source(node: Node) -> str:
    """The source of a tree, with as few brackets as the grammar needs. Limits of length are not looked at."""
    return _print(node, _CONDITIONAL)


def _print(node: Node, least: int) -> str:
    """The node as an operand of something that holds as tightly as `least`."""
    text, level = _text(node)
    return f"({text})" if level < least else text


def _text(node: Node) -> tuple[str, int]:
    match node:
        case Literal(value=value):
            return _literal(value), _POSTFIX
        case Name(name=name):
            return name, _POSTFIX
        case ListOf(items=items):
            return f"[{_list(items)}]", _POSTFIX
        case MapOf(entries=entries):
            shown = ", ".join([f"{_literal(key)}: {_print(value, _CONDITIONAL)}" for key, value in entries])
            return f"{{{shown}}}", _POSTFIX
        case Call(function=function, arguments=arguments):
            return f"{function}({_list(arguments)})", _POSTFIX
        case Path(base=base, steps=steps):
            return _path(base, steps), _POSTFIX
        case Unary(operator="not", operand=operand):
            return f"not {_print(operand, _NOT)}", _NOT
        case Unary(operator=operator, operand=operand):
            return operator + _print(operand, _UNARY), _UNARY
        case Comparison(operator=operator, left=left, right=right):
            return f"{_print(left, _SUM)} {operator} {_print(right, _SUM)}", _COMPARED
    return _joined(node)


def _joined(node: Chain | Conditional) -> tuple[str, int]:
    if isinstance(node, Conditional):
        parts = [f"{_print(test, _COALESCE)} ? {_print(value, _CONDITIONAL)} : " for test, value in node.branches]
        return "".join(parts) + _print(node.otherwise, _COALESCE), _CONDITIONAL
    level = _CHAINS[node.rest[0].operator]
    text = _print(node.first, level + 1)
    for step in node.rest:
        text += f" {step.operator} {_print(step.value, level + 1)}"
    return text, level


def _path(base: Node, steps: Sequence[Member | Index | Method]) -> str:
    text = _print(base, _POSTFIX)
    if isinstance(base, Literal) and isinstance(base.value, Decimal):
        text = f"({text})"  # a point behind digits would be read as a fraction
    for step in steps:
        match step:
            case Member(name=name):
                text += f".{name}"
            case Method(name=name, arguments=arguments):
                text += f".{name}({_list(arguments)})"
            case Index(index=index):
                text += f"[{_print(index, _CONDITIONAL)}]"
    return text


def _list(items: Sequence[Node]) -> str:
    return ", ".join([_print(item, _CONDITIONAL) for item in items])


def _literal(value: bool | Decimal | str | None) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return number_text(value)
    return f'"{"".join([_escaped(character) for character in value])}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else _unicode_escape(character)


def _unicode_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join([f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)])
