"""Reading and editing the CREATE TABLE text that SQLite keeps for each table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rocket_kernel.store.columns import ColumnType, Storage
from rocket_kernel.store.existing import ExistingColumn, ExistingIndex, ExistingTable

COLUMNS = (
    'SELECT c.name, c.type, c."notnull", c.dflt_value, c.pk, s.sql, v.schema_version '
    "FROM sqlite_schema s, pragma_table_info(s.name) c, pragma_schema_version v "
    "WHERE s.type = 'table' AND (s.name = ? OR lower(s.name) = ?) ORDER BY c.cid"
)
INDEXES = (
    'SELECT l.name, l."unique", s.sql FROM pragma_index_list(?) l '
    "LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = l.name ORDER BY l.name"
)
NAMES = "SELECT lower(name) FROM sqlite_schema WHERE lower(name) IN (SELECT value FROM json_each(?))"

# One alternative per kind of token, none of which can match in two ways, so the time is linear in the text.
_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|--[^\n]*)
      | (?P<string>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
      | (?P<word>[^\s'"`\[\](),/\-]+)
      | (?P<sign>\S)""",
    re.VERBOSE | re.DOTALL,
)
_TABLE_CONSTRAINTS = frozenset({"constraint", "primary", "unique", "check", "foreign"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word


def mark(type: ColumnType) -> str:
    """The comment that tells a column's type."""
    return f"/* {type} */"


def affinity(declared: str) -> str:
    """SQLite's own rules from a declared type to how values are kept."""
    text = declared.upper()
    rules = (("INT", "INTEGER"), ("CHAR", "TEXT"), ("CLOB", "TEXT"), ("TEXT", "TEXT"))
    for part, kept in (*rules, ("BLOB", "BLOB"), ("REAL", "REAL"), ("FLOA", "REAL"), ("DOUB", "REAL")):
        if part in text:
            return kept
    return "NUMERIC" if text else "BLOB"


def existing_table(table: str, columns: Sequence[Sequence[Any]], indexes: Sequence[Sequence[Any]]) -> ExistingTable:
    source, revision = columns[0][5], columns[0][6]
    definitions = _definitions(source)
    keys = sorted((row[4], row[0].lower()) for row in columns if row[4])
    return ExistingTable(
        name=table,
        columns=tuple(_column(row, definitions.get(row[0].lower(), []), keys) for row in columns),
        primary_key=tuple(name for _, name in keys),
        indexes=tuple(
            ExistingIndex(name, unique=bool(unique), live_only=sql is not None and '"deleted_at" IS NULL' in sql)
            for name, unique, sql in indexes
        ),
        source=source,
        revision=revision,
    )


def with_nullable(source: str, changes: Mapping[str, bool]) -> str:
    """The same statement with NOT NULL set (False) or taken away (True) on the named columns."""
    edits: list[tuple[int, int, str]] = []
    for name, tokens in _definitions(source).items():
        if name not in changes:
            continue
        if changes[name]:
            edits.extend((start, end, "") for start, end in _not_null(tokens))
        elif not _not_null(tokens):
            end = next(token.end for token in reversed(tokens) if token.kind != "comment")
            edits.append((end, end, " NOT NULL"))
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _column(row: Sequence[Any], tokens: Sequence[_Token], keys: Sequence[tuple[int, str]]) -> ExistingColumn:
    name, declared, required, default, key = row[0].lower(), row[1], row[2], row[3], row[4]
    # A sole INTEGER primary key is the row's number, which SQLite fills in when none is given.
    numbered = bool(key) and len(keys) == 1 and declared.upper() == "INTEGER"
    return ExistingColumn(
        name=name,
        declared=declared,
        type=_marked_type(tokens),
        nullable=not required and not key,
        identity=numbered,
        has_default=default is not None or numbered,
    )


def _marked_type(tokens: Sequence[_Token]) -> ColumnType | None:
    for token in tokens:
        if token.kind == "comment":
            storage, _, precision = token.text.strip("/* )").partition("(")
            if storage in Storage.__members__.values():
                return ColumnType(Storage(storage), int(precision) if precision.isdigit() else None)
    return None


def _definitions(source: str) -> dict[str, list[_Token]]:
    """The tokens of each column's definition, by lower-case name."""
    columns: dict[str, list[_Token]] = {}
    for part in _parts(source):
        first = next((token for token in part if token.kind != "comment"), None)
        if first is None or (first.kind == "word" and first.text.lower() in _TABLE_CONSTRAINTS):
            continue
        columns[_unquoted(first).lower()] = part
    return columns


def _parts(source: str) -> Iterator[list[_Token]]:
    """The comma-separated parts inside the outer parentheses; what is nested deeper stays whole."""
    depth = 0
    part: list[_Token] = []
    for token in _tokens(source):
        if token.text == ")":
            depth -= 1
            if depth == 0:
                yield part
                return
        if depth == 1 and token.text == ",":
            yield part
            part = []
        elif depth >= 1:
            part.append(token)
        if token.text == "(":
            depth += 1


def _tokens(source: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(source):
        yield _Token(match.lastgroup or "", match.group(), match.start(), match.end())


def _not_null(tokens: Sequence[_Token]) -> list[tuple[int, int]]:
    """Where the column says NOT NULL, including the blank before it."""
    spans: list[tuple[int, int]] = []
    depth = 0
    for token, following in pairwise(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.is_word("not") and following.is_word("null"):
            spans.append((token.start - 1, following.end))
    return spans


def _unquoted(token: _Token) -> str:
    if token.kind == "word":
        return token.text
    quote = token.text[-1]
    return token.text[1:-1].replace(quote * 2, quote)
