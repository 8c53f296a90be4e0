"""Tokens -> tree, by the grammar of contract §7.1.

The recursion follows the brackets of the source and takes a handful of frames for each, so `MAX_NESTING` keeps it far
from the limit of the interpreter.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from rocket_kernel.expressions.errors import Fault
from rocket_kernel.expressions.limits import MAX_NESTING, MAX_NODES, MAX_SOURCE_BYTES
from rocket_kernel.expressions.numbers import read_literal
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
    Operand,
    Path,
    Unary,
)
from rocket_kernel.expressions.tokens import Token, TokenKind, tokenize

_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "nil": None, "undefined": None}
RESERVED = frozenset({*_CONSTANTS, "and", "or", "not", "in", "new"})
OPERATOR_WORDS = frozenset({"contains", "startsWith", "endsWith", "matches"})
_COMPARISONS = {"==": "==", "===": "==", "!=": "!=", "!==": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_NOT = 3
_COMPARED = 4
_BINARY: dict[str, tuple[int, str]] = {
    "??": (0, "??"),
    "||": (1, "or"),
    "or": (1, "or"),
    "&&": (2, "and"),
    "and": (2, "and"),
    **{symbol: (_COMPARED, meaning) for symbol, meaning in _COMPARISONS.items()},
    **{word: (_COMPARED, word) for word in ("in", *OPERATOR_WORDS)},
    "+": (5, "+"),
    "-": (5, "-"),
    "*": (6, "*"),
    "/": (6, "/"),
    "%": (6, "%"),
}
"""Level and meaning of each operator; a higher level binds tighter, and `not` stands at level 3."""


def is_name(text: str) -> bool:
    """Whether a text can stand as a name: letters, digits and `_`, and no reserved word."""
    if not text or not text.isascii() or not text.replace("_", "a").isalnum() or text[0].isdigit():
        return False
    return text not in RESERVED and text not in ("Math", "Date")


def parse(source: str, *, origins: Sequence[int] | None = None, depth: int = 0, nodes: int = 0) -> Parsed:
    """A source -> its tree. Raises Fault with an offset of the outermost source.

    An expression inside a string brings the `origins` of its characters, and what its surroundings have used up of
    the limits.
    """
    if origins is None:
        _require_size(source)
        origins = range(len(source) + 1)
    parser = _Parser(tokenize(source, origins), depth, nodes)
    if parser.at_end():
        raise Fault("expression is empty", parser.token.at)
    tree = parser.expression()
    if not parser.at_end():
        raise parser.unexpected()
    return tree, parser.nodes


Parsed = tuple[Node, int]
"""A tree and the number of all nodes so far."""


def _require_size(source: str) -> None:
    for at, character in enumerate(source):
        if "\ud800" <= character <= "\udfff":
            raise Fault("unpaired surrogate", at)
        if at > MAX_SOURCE_BYTES:
            break
    if len(source) > MAX_SOURCE_BYTES or len(source.encode()) > MAX_SOURCE_BYTES:
        raise Fault(f"expression too long (max {MAX_SOURCE_BYTES} bytes)", 0)


class _Operator(NamedTuple):
    level: int
    sign: str
    at: int


class _Parser:
    def __init__(self, tokens: list[Token], depth: int, nodes: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = depth - 1  # the outermost expression is not nested
        self.nodes = nodes
        self.token = tokens[0]

    def at_end(self) -> bool:
        return self.token.kind is TokenKind.END

    def expression(self) -> Node:
        """`coal ? expr : expr`, the right-hand conditionals in a loop."""
        at = self.token.at
        self._deepen(at)
        branches: list[tuple[Node, Node]] = []
        node = self._binary()
        while self._take_symbol("?"):
            self._count(at)
            value = self.expression()
            self._require(":")
            branches.append((node, value))
            node = self._binary()
        self._depth -= 1
        if not branches:
            return node
        if isinstance(node, Conditional):  # it stood in brackets
            return Conditional((*branches, *node.branches), node.otherwise, at)
        return Conditional(tuple(branches), node, at)

    def unexpected(self) -> Fault:
        token = self.token
        if token.kind is TokenKind.END:
            return Fault("unexpected end", token.at)
        shown = "string" if token.kind is TokenKind.TEXT else f"'{token.text[:40]}'"
        return Fault(f"unexpected {shown}", token.at)

    def _binary(self) -> Node:
        """Everything from `??` down to `*`, in one frame: operands and operators wait on two stacks."""
        operands: list[Node] = []
        waiting: list[_Operator] = []
        while True:
            self._take_negations(waiting)
            operands.append(self._operand())
            operator = self._take_operator()
            if operator is None:
                break
            while waiting and waiting[-1].level >= operator.level:
                if waiting[-1].level == operator.level == _COMPARED:
                    raise Fault(f"unexpected '{operator.sign}', comparisons do not chain", operator.at)
                self._reduce(operands, waiting.pop())
            waiting.append(operator)
        while waiting:
            self._reduce(operands, waiting.pop())
        return operands[0]

    def _take_negations(self, waiting: list[_Operator]) -> None:
        while self._is_word("not"):
            if waiting and waiting[-1].level > _NOT:
                raise self.unexpected()
            self._enter(self.token.at)
            waiting.append(_Operator(_NOT, "not", self.token.at))
            self._advance()

    def _take_operator(self) -> _Operator | None:
        token = self.token
        if token.kind not in (TokenKind.SYMBOL, TokenKind.WORD):
            return None
        if self._is_word("not") and self._follows("in"):
            self._advance()
            found = (_COMPARED, "not in")
        elif token.text in _BINARY:
            found = _BINARY[token.text]
        else:
            return None
        self._advance()
        self._count(token.at)
        return _Operator(*found, token.at)

    def _reduce(self, operands: list[Node], operator: _Operator) -> None:
        right = operands.pop()
        if operator.level == _NOT:
            self._depth -= 1
            operands.append(Unary("not", right, operator.at))
            return
        left = operands.pop()
        if operator.level == _COMPARED:
            operands.append(Comparison(operator.sign, left, right, operator.at))
            return
        step = Operand(operator.sign, right, operator.at)
        if isinstance(left, Chain) and _BINARY[left.rest[0].operator][0] == operator.level:
            operands.append(Chain(left.first, (*left.rest, step), left.at))
        else:
            operands.append(Chain(left, (step,), left.at))

    def _operand(self) -> Node:
        """Signs, what they stand before, and the members behind it."""
        signs: list[Token] = []
        while self.token.kind is TokenKind.SYMBOL and self.token.text in ("-", "!"):
            self._enter(self.token.at)
            signs.append(self.token)
            self._advance()
        node = self._postfix()
        for sign in reversed(signs):
            self._depth -= 1
            node = Unary(sign.text, node, sign.at)
        return node

    def _postfix(self) -> Node:
        at = self.token.at
        base = self._primary()
        steps: list[Member | Index | Method] = []
        while True:
            place = self.token.at
            if self._take_symbol(".") or self._take_symbol("?."):
                steps.append(self._member(place))
            elif self._take_symbol("["):
                index = self.expression()
                self._require("]")
                steps.append(Index(index, place))
            else:
                return Path(base, tuple(steps), at) if steps else base
            self._count(place)

    def _member(self, at: int) -> Member | Method:
        if self.token.kind is not TokenKind.WORD:
            raise self.unexpected()
        name, place = self.token.text, self.token.at
        self._advance()
        if self._take_symbol("("):
            return Method(name, self._arguments(")"), place)
        return Member(name, place)

    def _primary(self) -> Node:
        token = self.token
        self._count(token.at)
        match token.kind:
            case TokenKind.NUMBER:
                self._advance()
                return Literal(_number(token), token.at)
            case TokenKind.TEXT:
                self._advance()
                return Literal(token.text, token.at, token.origins)
            case TokenKind.WORD:
                return self._word(token)
        if self._take_symbol("("):
            inner = self.expression()
            self._require(")")
            return inner
        if self._take_symbol("["):
            return ListOf(self._arguments("]"), token.at)
        if self._take_symbol("{"):
            return MapOf(self._entries(), token.at)
        raise self.unexpected()

    def _word(self, token: Token) -> Node:
        word = token.text
        if word in _CONSTANTS:
            self._advance()
            return Literal(_CONSTANTS[word], token.at)
        if word == "new":
            return self._new_date(token)
        if word in RESERVED:
            raise self.unexpected()
        self._advance()
        if word == "Math" and self._is_symbol(".") and self._is_call_ahead():
            self._advance()
            word = f"Math.{self.token.text}"
            self._advance()
        if self._take_symbol("("):
            return Call(word, self._arguments(")"), token.at)
        return Name(word, token.at)

    def _new_date(self, token: Token) -> Node:
        self._advance()
        if not self._is_word("Date"):
            raise self.unexpected()
        self._advance()
        self._require("(")
        arguments = self._arguments(")")
        if len(arguments) > 1:
            raise Fault("wrong number of arguments for new Date: at most 1 expected", token.at)
        return Call("new Date", arguments, token.at)

    def _arguments(self, closing: str) -> tuple[Node, ...]:
        """Expressions up to the closing bracket, which is taken."""
        if self._take_symbol(closing):
            return ()
        found = [self.expression()]
        while self._take_symbol(","):
            found.append(self.expression())
        self._require(closing)
        return tuple(found)

    def _entries(self) -> tuple[tuple[str, Node], ...]:
        if self._take_symbol("}"):
            return ()
        found = [self._entry()]
        while self._take_symbol(","):
            found.append(self._entry())
        self._require("}")
        return tuple(found)

    def _entry(self) -> tuple[str, Node]:
        token = self.token
        is_name = token.kind is TokenKind.WORD and token.text not in RESERVED
        if token.kind is not TokenKind.TEXT and not is_name:
            raise self.unexpected()
        self._advance()
        self._require(":")
        return token.text, self.expression()

    def _is_symbol(self, symbol: str) -> bool:
        return self.token.kind is TokenKind.SYMBOL and self.token.text == symbol

    def _is_word(self, word: str) -> bool:
        return self.token.kind is TokenKind.WORD and self.token.text == word

    def _follows(self, word: str) -> bool:
        following = self._tokens[self._next + 1] if self._next + 1 < len(self._tokens) else self.token
        return following.kind is TokenKind.WORD and following.text == word

    def _is_call_ahead(self) -> bool:
        """Whether a word and a bracket follow the token at hand."""
        ahead = self._tokens[self._next + 1 : self._next + 3]
        return len(ahead) == 2 and ahead[0].kind is TokenKind.WORD and ahead[1].text == "("

    def _take_symbol(self, symbol: str) -> bool:
        if not self._is_symbol(symbol):
            return False
        self._advance()
        return True

    def _require(self, symbol: str) -> None:
        if not self._take_symbol(symbol):
            fault = self.unexpected()
            raise Fault(f"{fault.reason}, '{symbol}' expected", fault.at)

    def _advance(self) -> None:
        self._next += 1
        self.token = self._tokens[min(self._next, len(self._tokens) - 1)]

    def _enter(self, at: int) -> None:
        """Go into a node with one operand."""
        self._deepen(at)
        self._count(at)

    def _deepen(self, at: int) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise Fault(f"nested too deeply (max {MAX_NESTING})", at)

    def _count(self, at: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Fault(f"too many parts (max {MAX_NODES})", at)


def _number(token: Token) -> Decimal:
    try:
        return read_literal(token.text)
    except Fault as fault:
        raise fault.placed(token.at) from None
