"""Values and comparisons: both databases give the same answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.store.case_fold import simple_lower
from rocket_kernel.store.columns import Column, ColumnType, Storage, Table
from rocket_kernel.store.dialects.base import TextPattern, Wildcard
from rocket_kernel.store.migrate import apply_table
from rocket_kernel.store.protocol import Store
from rocket_kernel.store.table_rows import NOT_NULL, Comparison, TableRows

VALUES: dict[Storage, list[object]] = {
    Storage.TEXT: ["", "B", "a", "it's \\ \" % _ * ? [", "ä", "\uffff", "\U0001f680"],
    Storage.INTEGER: [-(2**31), -1, 0, 2**31 - 1],
    Storage.BIGINT: [str(-(2**63)), "-1", "9007199254740993", str(2**63 - 1)],
    Storage.FLOAT: [-1.5e300, -0.1, 0.0, 5e-324, 0.1, 1e22, 1.7976931348623157e308],
    Storage.DECIMAL: ["-12.50", "-2", "0.00", "0.1", "9.99", "10", "99999999999999999999999999999999999999"],
    Storage.BOOLEAN: [False, True],
    Storage.UUID: ["00000000-0000-4000-8000-00000000000a", "f0000000-0000-4000-8000-000000000000"],
    Storage.TIMESTAMP: ["0001-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
    Storage.DATE: ["0001-01-01", "2024-02-29", "9999-12-31"],
}


def rows_of(type: ColumnType) -> TableRows:
    return TableRows(Table("t", (Column("id", ColumnType(Storage.INTEGER)), Column("x", type)), ("id",)))


async def filled(store: Store, type: ColumnType, values: Sequence[object]) -> TableRows:
    rows = rows_of(type)
    async with store.schema_change() as tx:
        await apply_table(tx, rows.table)
        await rows.insert_many(tx, [{"id": id, "x": value} for id, value in enumerate(values)])
    return rows


@pytest.mark.parametrize("storage", list(VALUES))
async def test_values_come_back_and_compare(store: Store, storage: Storage) -> None:
    values = [*VALUES[storage], None]
    rows = await filled(store, ColumnType(storage), values[::-1])
    async with store.read() as session:

        async def found(where: dict[str, object], *order_by: str) -> list[object]:
            return [row["x"] for row in await rows.select(session, where, order_by=order_by)]

        assert await found({}, "x") == values
        assert await found({}, "-x") == values[::-1]
        for position, value in enumerate(values[:-1]):
            assert await found({"x": value}) == [value]
            assert await found({"x": Comparison("<", value)}, "x") == values[:position]
            assert await found({"x": Comparison(">=", value)}, "x") == values[position:-1]
            assert await found({"x": Comparison("<>", value)}, "x") == values[:position] + values[position + 1 : -1]
        assert await found({"x": values[:2]}, "x") == values[:2]
        assert await found({"x": []}) == []
        assert await found({"x": None}) == [None]
        assert await found({"x": NOT_NULL}, "x") == values[:-1]


async def test_decimals_of_fixed_precision_keep_their_digits(store: Store) -> None:
    rows = await filled(store, ColumnType(Storage.DECIMAL, 2), ["12.30", "-0.00", "-0.01"])
    async with store.read() as session:
        assert [row["x"] for row in await rows.select(session, order_by=("x",))] == ["-0.01", "0.00", "12.30"]
        assert await rows.count(session, {"x": "12.3"}) == 1
        assert await rows.count(session, {"x": ["12.300", "0"]}) == 2


async def test_boolean_and_json_come_back_as_they_are(store: Store) -> None:
    for storage in (Storage.JSON, Storage.DOCUMENT):
        rows = TableRows(
            Table(
                f"t_{storage}", (Column("id", ColumnType(Storage.INTEGER)), Column("x", ColumnType(storage))), ("id",)
            )
        )
        async with store.write() as tx:
            await apply_table(tx, rows.table)
            values: list[object] = [[], {}, "text", 0, False, 1.0, ["a", None]]
            for value in values:
                row = await rows.insert(tx, {"id": 1, "x": value})
                assert row["x"] == value
                assert type(row["x"]) is type(value)
                await rows.delete(tx, {"id": 1})


async def test_rows_are_inserted_once(store: Store) -> None:
    rows = await filled(store, ColumnType(Storage.TEXT), ["a"])
    async with store.write() as tx:
        assert not await rows.try_insert(tx, {"id": 0, "x": "b"})
        assert await rows.try_insert(tx, {"id": 1, "x": "b"})
        assert await rows.update(tx, {"id": 1, "x": "c"}, {"x": "d"}) == 0
        assert await rows.update(tx, {"id": 1, "x": "b"}, {"x": "d"}) == 1
        assert await rows.first(tx, {"id": 1}, lock=True) == {"id": 1, "x": "d"}
        assert await rows.first(tx, {"id": 9}) is None
        assert [row["id"] for row in await rows.select(tx, order_by=("id",), limit=1, offset=1)] == [1]
        await rows.insert_many(tx, [])
        assert await rows.delete(tx, {"id": [0, 1]}) == 2


ALPHABET = "aAbB%_*?[]\\^-\u03a3\u03c3\u03c2\u0130iIäÄ\U0001f680\n "
texts = st.text(ALPHABET, max_size=8)
patterns = st.lists(st.one_of(texts, st.sampled_from(Wildcard)), max_size=5)


def in_memory(text: str, pattern: TextPattern) -> bool:
    if not pattern:
        return not text
    first, rest = pattern[0], pattern[1:]
    if isinstance(first, str):
        return text.startswith(first) and in_memory(text[len(first) :], rest)
    if first is Wildcard.ONE_CHARACTER:
        return bool(text) and in_memory(text[1:], rest)
    return any(in_memory(text[start:], rest) for start in range(len(text) + 1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1, max_size=20), patterns, st.booleans())
async def test_patterns_match_what_they_say(
    store: Store, candidates: list[str], pattern: TextPattern, ignore_case: bool
) -> None:
    rows = await filled(store, ColumnType(Storage.TEXT), [])
    fold = simple_lower if ignore_case else str
    folded = [fold(part) if isinstance(part, str) else part for part in pattern]
    expected = [id for id, text in enumerate(candidates) if in_memory(fold(text), folded)]
    dialect = store.dialect
    async with store.write() as tx:
        await rows.insert_many(tx, [{"id": id, "x": text} for id, text in enumerate(candidates)])
        builder = SqlBuilder(dialect).add("SELECT id FROM t WHERE ")
        placeholder = builder.reserve(dialect.encode_pattern(pattern, ignore_case=ignore_case))
        builder.add(dialect.matches('"x"', placeholder, ignore_case=ignore_case)).add(" ORDER BY id")
        found = [row[0] for row in await tx.fetch(builder.text(), builder.params)]
        await rows.delete(tx, {})
    assert found == expected


async def test_every_letter_is_lowered_alike(store: Store) -> None:
    letters = [chr(code) for code in range(1, sys.maxunicode + 1) if simple_lower(chr(code)) != chr(code)]
    await filled(store, ColumnType(Storage.TEXT), letters)
    dialect = store.dialect
    left = dialect.matches('"x"', "?", ignore_case=True).split(" LIKE ")[0].split(" GLOB ")[0]
    async with store.read() as session:
        found = await session.fetch(f"SELECT x, {left} FROM t ORDER BY id")
    assert [lower for _, lower in found] == [simple_lower(letter) for letter, _ in found]
