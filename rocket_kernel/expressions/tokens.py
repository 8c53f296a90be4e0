"""Source text -> tokens. No pattern engine: the text is a client's."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from rocket_kernel.expressions.errors import Fault

_BLANKS = frozenset(" \t\r\n")
_NAME_START = frozenset(string.ascii_letters + "_")
_NAME_REST = _NAME_START | frozenset(string.digits)
_DIGITS = frozenset(string.digits)
_HEX = frozenset(string.hexdigits)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_SYMBOLS = (
    ("===", "!=="),
    ("==", "!=", "<=", ">=", "&&", "||", "??", "?."),
    ("<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}"),
)
"""By length, the longest first: the longest that fits is taken."""


class TokenKind(Enum):
    NUMBER = auto()
    TEXT = auto()
    WORD = auto()
    SYMBOL = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the source of a number, the content of a string, a word or a symbol."""

    kind: TokenKind
    text: str
    at: int
    """Offset in the outermost source."""
    origins: tuple[int, ...] = ()
    """Of a string: the offset of each of its characters, for the expression that may stand in it."""


def tokenize(source: str, origins: Sequence[int]) -> list[Token]:
    """`origins` has the outermost offset of each character, and that of the end. Raises Fault."""
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        character = source[at]
        if character in _BLANKS:
            at += 1
        elif character in _NAME_START:
            end = _span(source, at, _NAME_REST)
            tokens.append(Token(TokenKind.WORD, source[at:end], origins[at]))
            at = end
        elif character in _DIGITS:
            end = _number_end(source, at)
            tokens.append(Token(TokenKind.NUMBER, source[at:end], origins[at]))
            at = end
        elif character in "'\"":
            token, at = _string(source, at, origins)
            tokens.append(token)
        else:
            symbol = _symbol(source, at)
            if symbol is None:
                raise Fault(f"unexpected character {_shown(character)}", origins[at])
            tokens.append(Token(TokenKind.SYMBOL, symbol, origins[at]))
            at += len(symbol)
    tokens.append(Token(TokenKind.END, "", origins[len(source)]))
    return tokens


def _shown(character: str) -> str:
    return f"'{character}'" if character.isprintable() else f"U+{ord(character):04X}"


def _span(source: str, at: int, members: frozenset[str]) -> int:
    while at < len(source) and source[at] in members:
        at += 1
    return at


def _number_end(source: str, at: int) -> int:
    end = _span(source, at, _DIGITS)
    if source[end : end + 1] == "." and source[end + 1 : end + 2] in _DIGITS:
        end = _span(source, end + 1, _DIGITS)
    if source[end : end + 1] in ("e", "E"):
        digits = end + 2 if source[end + 1 : end + 2] in ("+", "-") else end + 1
        if source[digits : digits + 1] in _DIGITS:
            end = _span(source, digits, _DIGITS)
    return end


def _symbol(source: str, at: int) -> str | None:
    for symbols in _SYMBOLS:
        candidate = source[at : at + len(symbols[0])]
        if candidate in symbols:
            return candidate
    return None


def _string(source: str, start: int, origins: Sequence[int]) -> tuple[Token, int]:
    quote = source[start]
    characters: list[str] = []
    places: list[int] = []
    at = start + 1
    while at < len(source) and source[at] != quote:
        places.append(origins[at])
        character, at = _character(source, at)
        if "\udc00" <= character <= "\udfff" and characters and "\ud800" <= characters[-1] <= "\udbff":
            # Two \u escapes make one character, as in JSON.
            places.pop()
            character = (characters.pop() + character).encode("utf-16", "surrogatepass").decode("utf-16")
        characters.append(character)
    if at >= len(source):
        raise Fault("unterminated string", origins[start])
    for character, place in zip(characters, places, strict=True):
        if "\ud800" <= character <= "\udfff":
            raise Fault("unpaired surrogate", place)
    places.append(origins[at])
    return Token(TokenKind.TEXT, "".join(characters), origins[start], tuple(places)), at + 1


def _character(source: str, at: int) -> tuple[str, int]:
    """One character of a string and where the next one begins."""
    if source[at] != "\\" or at + 1 >= len(source):
        return source[at], at + 1
    escaped = source[at + 1]
    if escaped in _ESCAPES:
        return _ESCAPES[escaped], at + 2
    digits = source[at + 2 : at + 6]
    if escaped == "u" and len(digits) == 4 and _HEX.issuperset(digits):
        return chr(int(digits, 16)), at + 6
    return "\\", at + 1
