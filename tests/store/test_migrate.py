"""Every rule of migration, over both databases."""

# ruff: noqa: PT012 - what raises is a transaction, which is a block

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from rocket_kernel.errors import Conflict, NotNullViolation, UniqueViolation, ValidationFailed
from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table
from rocket_kernel.store.existing import ExistingTable
from rocket_kernel.store.introspect import read_table
from rocket_kernel.store.migrate import (
    ColumnTypeDiffers,
    DuplicateValues,
    PrimaryKeyDiffers,
    advance_identity,
    apply_table,
)
from rocket_kernel.store.names import index_name
from rocket_kernel.store.plan import Plan, plan_table
from rocket_kernel.store.protocol import Store
from rocket_kernel.store.table_rows import TableRows

ID = Column("id", ColumnType(Storage.INTEGER), nullable=False)
DELETED_AT = Column("deleted_at", ColumnType(Storage.TIMESTAMP))
EVERY_STORAGE = tuple(Column(storage.value, ColumnType(storage)) for storage in Storage)


def column(name: str, storage: Storage = Storage.TEXT, **options: object) -> Column:
    return Column(name, ColumnType(storage), **options)  # type: ignore[arg-type]  # by keyword


def table(*columns: Column, indexes: Sequence[Index] = (), key: Column = ID) -> Table:
    return Table("courses", (key, *columns), (key.name,), tuple(indexes))


def unique(name: str, *, live_only: bool = False) -> Index:
    return Index(index_name("courses", name), (name,), unique=True, live_only=live_only)


def plain(name: str, *, live_only: bool = False) -> Index:
    return Index(index_name("courses", name), (name,), live_only=live_only)


async def apply(store: Store, wanted: Table, **backfill: object) -> list[str]:
    async with store.schema_change() as tx:
        return await apply_table(tx, wanted, backfill=backfill)


async def insert(store: Store, wanted: Table, *rows: Mapping[str, object]) -> None:
    async with store.write() as tx:
        for row in rows:
            await TableRows(wanted).insert(tx, row)


async def select(store: Store, wanted: Table) -> list[dict[str, object]]:
    async with store.read() as session:
        return await TableRows(wanted).select(session, order_by=("id",))


async def existing(store: Store, name: str = "courses") -> ExistingTable:
    async with store.read() as session:
        found = await read_table(session, name)
    assert found is not None
    return found


async def run(store: Store, *statements: str) -> None:
    async with store.write() as tx:
        for statement in statements:
            await tx.execute(statement)


async def nullable(store: Store, name: str) -> bool:
    found = (await existing(store)).column(name)
    assert found is not None
    return found.nullable


# Making and adding


async def test_a_table_that_is_missing_is_made(store: Store) -> None:
    wanted = table(column("title", nullable=False), DELETED_AT, indexes=[unique("title"), plain("deleted_at")])
    statements = await apply(store, wanted)
    assert [statement.split()[:2] for statement in statements] == [
        ["CREATE", "TABLE"],
        ["CREATE", "UNIQUE"],
        ["CREATE", "INDEX"],
    ]


async def test_again_is_nothing(store: Store) -> None:
    wanted = table(
        *(replace(column, nullable=False) for column in EVERY_STORAGE),
        Column("money", ColumnType(Storage.DECIMAL, 2), default="0.00"),
        DELETED_AT,
        indexes=[unique("text", live_only=True), plain("deleted_at", live_only=True), unique("money"), plain("uuid")],
    )
    assert await apply(store, wanted)
    assert await apply(store, wanted) == []


async def test_a_system_table_with_reference_and_numbered_key(store: Store) -> None:
    parent = Table("_parents", (Column("name", ColumnType(Storage.TEXT), nullable=False),), ("name",))
    child = Table(
        "_children",
        (
            Column("id", ColumnType(Storage.BIGINT), nullable=False, identity=True),
            Column("parent", ColumnType(Storage.TEXT), references="_parents.name"),
            Column("definition", ColumnType(Storage.DOCUMENT), nullable=False, default={"b": 1, "a": 2}),
        ),
        ("id",),
        (Index("idx__children_both", ("parent", "id"), unique=True),),
    )
    for wanted in (parent, child):
        assert await apply(store, wanted)
        assert await apply(store, wanted) == []
    async with store.write() as tx:
        await TableRows(parent).insert(tx, {"name": "p"})
        row = await TableRows(child).insert(tx, {"parent": "p"})
    assert row["id"] == "1"
    assert list(row["definition"].items()) == [("b", 1), ("a", 2)]
    added = replace(
        child, columns=(*child.columns, Column("other", ColumnType(Storage.TEXT), references="_parents.name"))
    )
    assert await apply(store, added)
    async with store.write() as tx:
        await TableRows(added).update(tx, {"id": "1"}, {"parent": None, "other": "p"})
        assert await TableRows(parent).delete(tx, {}) == 1
        assert await TableRows(added).count(tx) == 0


async def test_a_join_table(store: Store) -> None:
    join = Table("a_b", (Column("a", ID.type, nullable=False), Column("b", ID.type, nullable=False)), ("a", "b"))
    assert await apply(store, join)
    assert await apply(store, replace(join, primary_key=("b", "a"))) == []


async def test_a_table_that_is_used_as_it_is(store: Store) -> None:
    found = Table("a_b", (ID, column("a"), column("b", nullable=False)), ("id",))
    await apply(store, found)
    join = Table("a_b", (column("a"), column("b")), ("a", "b"), (Index("idx_a_b_b", ("b",)),), as_found=True)
    assert await apply(store, join) == []
    with pytest.raises(PrimaryKeyDiffers):
        await apply(store, replace(join, columns=(*join.columns, column("c"))))
    with pytest.raises(ColumnTypeDiffers):
        await apply(store, replace(join, columns=(column("a"), column("b", Storage.DATE))))
    with pytest.raises(PrimaryKeyDiffers):
        await apply(store, replace(join, as_found=False))


async def test_a_table_cannot_have_the_name_of_an_index(store: Store) -> None:
    await apply(store, table(column("title"), indexes=[unique("title")]))
    async with store.schema_change() as tx:
        with pytest.raises(Conflict, match="Table already in use: idx_courses_title"):
            await apply_table(tx, Table("idx_courses_title", (ID,), ("id",)))
        await tx.fetch("SELECT 1")


async def test_a_column_that_is_missing_is_added(store: Store) -> None:
    before = table(column("title"))
    await apply(store, before)
    await insert(store, before, {"id": 1, "title": "x"})
    after = table(column("title"), column("note"), column("level", Storage.INTEGER, default=3))
    statements = await apply(store, after)
    assert [statement.split()[:2] for statement in statements] == [["ALTER", "TABLE"]] * 2
    assert await select(store, after) == [{"id": 1, "title": "x", "note": None, "level": 3}]


async def test_rows_are_filled_before_not_null_is_set(store: Store) -> None:
    before = table()
    await apply(store, before)
    await insert(store, before, {"id": 1}, {"id": 2})
    after = table(column("fee", Storage.DECIMAL, nullable=False), column("open", Storage.BOOLEAN, nullable=False))
    await apply(store, after, fee="1.50", open=False)
    assert await select(store, after) == [{"id": id, "fee": "1.50", "open": False} for id in (1, 2)]
    assert not await nullable(store, "fee")
    with pytest.raises(NotNullViolation):
        await insert(store, after, {"id": 3, "fee": None, "open": True})
    assert await apply(store, after) == []


async def test_rows_without_a_value_keep_a_column_nullable(store: Store) -> None:
    before = table()
    await apply(store, before)
    await insert(store, before, {"id": 1})
    after = table(column("title", nullable=False))
    assert len(await apply(store, after)) == 1
    assert await nullable(store, "title")
    assert await apply(store, after) == []
    async with store.write() as tx:
        await TableRows(after).update(tx, {"id": 1}, {"title": "x"})
    assert await apply(store, after)
    assert not await nullable(store, "title")


async def test_a_new_column_of_an_empty_table_is_required_at_once(store: Store) -> None:
    await apply(store, table())
    await apply(store, table(column("title", nullable=False)))
    assert not await nullable(store, "title")


# Loosening


async def test_a_column_no_longer_required_becomes_nullable(store: Store) -> None:
    before = table(column("title", nullable=False), column("kept", nullable=False), indexes=[unique("title")])
    await apply(store, before)
    await insert(store, before, {"id": 1, "title": "x", "kept": "y"})
    after = table(column("title"), column("kept", nullable=False), indexes=[unique("title")])
    assert await apply(store, after)
    assert await apply(store, after) == []
    await insert(store, after, {"id": 2, "kept": "z"})
    with pytest.raises(NotNullViolation):
        await insert(store, after, {"id": 3, "kept": None})
    with pytest.raises(UniqueViolation):
        await insert(store, after, {"id": 3, "title": "x", "kept": "z"})


async def test_a_field_taken_out_keeps_its_column_and_refuses_nothing(store: Store) -> None:
    before = table(column("title", nullable=False), column("note"))
    await apply(store, before)
    await insert(store, before, {"id": 1, "title": "x", "note": "y"})
    after = table(column("note"))
    await apply(store, after)
    await insert(store, after, {"id": 2, "note": "z"})
    assert await apply(store, after) == []
    await apply(store, before)
    assert await select(store, before) == [
        {"id": 1, "title": "x", "note": "y"},
        {"id": 2, "title": None, "note": "z"},
    ]


async def test_loosening_keeps_rows_that_refer_to_the_table(store: Store) -> None:
    parent = table(column("title", nullable=False))
    child = Table("_c", (ID, Column("course", ID.type, references="courses.id")), ("id",))
    for wanted in (parent, child):
        await apply(store, wanted)
    await insert(store, parent, {"id": 1, "title": "x"})
    await insert(store, child, {"id": 1, "course": 1})
    await apply(store, table(column("title")))
    assert await select(store, child) == [{"id": 1, "course": 1}]
    await run(store, "DELETE FROM courses")
    assert await select(store, child) == []


async def test_loosening_goes_on_counting(store: Store) -> None:
    key = Column("id", ColumnType(Storage.INTEGER), nullable=False, identity=True)
    before = table(column("title", nullable=False), key=key)
    await apply(store, before)
    await insert(store, before, {"title": "a"}, {"title": "b"})
    await run(store, "DELETE FROM courses")
    after = table(column("title"), key=key)
    await apply(store, after)
    await insert(store, after, {})
    assert [row["id"] for row in await select(store, after)] == [3]


async def test_a_failed_change_of_columns_leaves_no_trace(store: Store) -> None:
    before = table(column("title", nullable=False))
    await apply(store, before)
    found = await existing(store)
    with pytest.raises(ZeroDivisionError):
        async with store.schema_change() as tx:
            await apply_table(tx, table(column("title"), column("note")))
            raise ZeroDivisionError
    async with store.schema_change() as tx:
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await apply_table(tx, table(column("title"), column("note")))
                raise ZeroDivisionError
    assert await existing(store) == found
    with pytest.raises(NotNullViolation):
        await insert(store, before, {"id": 1, "title": None})


async def test_other_connections_see_the_change(store: Store) -> None:
    before = table(column("title", nullable=False))
    await apply(store, before)
    assert await select(store, before) == []
    await apply(store, table(column("title")))
    await insert(store, before, {"id": 1, "title": None})
    assert await select(store, before) == [{"id": 1, "title": None}]


# Refusing


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Storage.TEXT, Storage.INTEGER),
        (Storage.TEXT, Storage.UUID),
        (Storage.TEXT, Storage.DATE),
        (Storage.DATE, Storage.TIMESTAMP),
        (Storage.INTEGER, Storage.BIGINT),
        (Storage.BIGINT, Storage.INTEGER),
        (Storage.INTEGER, Storage.BOOLEAN),
        (Storage.FLOAT, Storage.DECIMAL),
        (Storage.DECIMAL, Storage.TEXT),
        (Storage.JSON, Storage.TEXT),
    ],
)
async def test_a_kept_column_keeps_its_type(store: Store, before: Storage, after: Storage) -> None:
    await apply(store, table(column("value", before)))
    await apply(store, table())
    with pytest.raises(ColumnTypeDiffers) as caught:
        await apply(store, table(column("value", after)))
    assert (caught.value.column, caught.value.existing, caught.value.wanted) == ("value", before.value, after.value)


async def test_a_column_added_later_keeps_its_type_too(store: Store) -> None:
    await apply(store, table())
    await apply(store, table(column("value", Storage.DATE)))
    with pytest.raises(ColumnTypeDiffers):
        await apply(store, table(column("value", Storage.TEXT)))


async def test_a_decimal_keeps_its_digits(store: Store) -> None:
    for name, first, second in (("a", 2, 3), ("b", 2, None), ("c", None, 2)):
        await apply(store, table(Column(name, ColumnType(Storage.DECIMAL, first))))
        with pytest.raises(ColumnTypeDiffers):
            await apply(store, table(Column(name, ColumnType(Storage.DECIMAL, second))))


async def test_the_primary_key_stays(store: Store) -> None:
    await apply(store, table(column("code", nullable=False)))
    with pytest.raises(PrimaryKeyDiffers):
        await apply(store, Table("courses", (ID, column("code", nullable=False)), ("code",)))
    with pytest.raises(ColumnTypeDiffers):
        await apply(store, table(key=Column("id", ColumnType(Storage.UUID), nullable=False)))


@pytest.mark.parametrize(
    "wanted",
    [
        Table("pg_class", (ID,), ("id",)),
        Table("sqlite_x", (ID,), ("id",)),
        Table("courses", (ID, column("xmin")), ("id",)),
    ],
)
async def test_names_that_a_database_keeps_for_itself(store: Store, wanted: Table) -> None:
    with pytest.raises(ValidationFailed):
        await apply(store, wanted)


@pytest.mark.parametrize("name", ["order", "select", "table", "date", "text", "uuid", "index", "user", "json"])
async def test_words_of_sql_are_names_like_others(store: Store, name: str) -> None:
    wanted = Table(
        name,
        (ID, Column(name, ColumnType(Storage.TEXT), nullable=False), *EVERY_STORAGE[1:4]),
        ("id",),
        (Index(index_name(name, name), (name,), unique=True),),
    )
    assert await apply(store, wanted)
    assert await apply(store, wanted) == []
    loose = replace(wanted, columns=(ID, Column(name, ColumnType(Storage.TEXT)), *EVERY_STORAGE[1:4]))
    assert await apply(store, loose)
    await insert(store, loose, {"id": 1, name: "x"})
    async with store.read() as session:
        assert await TableRows(loose).count(session, {name: ["x", "y"], "id": [1]}) == 1


# Indexes


async def test_unique_over_values_that_occur_twice(store: Store) -> None:
    wanted = table(Column("fee", ColumnType(Storage.DECIMAL)))
    await apply(store, wanted)
    await insert(store, wanted, {"id": 1, "fee": "12.5"}, {"id": 2, "fee": "12.50"}, {"id": 3}, {"id": 4})
    with pytest.raises(DuplicateValues) as caught:
        await apply(store, replace(wanted, indexes=(unique("fee"),)))
    assert caught.value.column == "fee"
    await run(store, "DELETE FROM courses WHERE id = 2")
    await apply(store, replace(wanted, indexes=(unique("fee"),)))


async def test_no_longer_unique_loses_the_index(store: Store) -> None:
    wanted = table(column("title"), indexes=[unique("title")])
    await apply(store, wanted)
    assert len(await apply(store, table(column("title")))) == 1
    await insert(store, wanted, {"id": 1, "title": "x"}, {"id": 2, "title": "x"})
    assert await apply(store, table(column("title"))) == []


async def test_a_field_taken_out_loses_its_unique_index(store: Store) -> None:
    await apply(store, table(column("title"), indexes=[unique("title")]))
    assert len(await apply(store, table())) == 1


async def test_plain_indexes_stay(store: Store) -> None:
    await apply(
        store, table(column("title"), DELETED_AT, indexes=[plain("title"), plain("deleted_at", live_only=True)])
    )
    assert await apply(store, table(column("title"), DELETED_AT)) == []


async def test_an_index_changes_its_kind(store: Store) -> None:
    kinds = [plain("title"), unique("title"), unique("title", live_only=True), plain("title")]
    for index in kinds:
        wanted = table(column("title"), DELETED_AT, indexes=[index])
        assert await apply(store, wanted)
        assert await apply(store, wanted) == []


async def test_soft_delete_switched_off_makes_rows_live(store: Store) -> None:
    soft = table(column("title"), DELETED_AT, indexes=[unique("title", live_only=True)])
    await apply(store, soft)
    deleted = "2020-01-01T00:00:00.000Z"
    await insert(store, soft, {"id": 1, "title": "x", "deleted_at": deleted}, {"id": 2, "title": "x"})
    with pytest.raises(DuplicateValues):
        await apply(store, table(column("title"), indexes=[unique("title")]))
    with pytest.raises(UniqueViolation):
        await insert(store, soft, {"id": 3, "title": "x"})


async def test_two_tables_that_derive_the_same_name_for_an_index(store: Store) -> None:
    first = Table("a_b", (ID, column("c")), ("id",), (Index(index_name("a_b", "c"), ("c",), unique=True),))
    second = Table("a", (ID, column("b_c")), ("id",), (Index(index_name("a", "b_c"), ("b_c",), unique=True),))
    for wanted in (first, second):
        assert await apply(store, wanted)
        assert await apply(store, wanted) == []
    await insert(store, second, {"id": 1, "b_c": "x"})
    with pytest.raises(UniqueViolation):
        await insert(store, second, {"id": 2, "b_c": "x"})
    assert await apply(store, replace(second, indexes=()))
    await insert(store, second, {"id": 2, "b_c": "x"})
    await insert(store, first, {"id": 1, "c": "x"})
    with pytest.raises(UniqueViolation):
        await insert(store, first, {"id": 2, "c": "x"})


async def test_indexes_of_others_stay(store: Store) -> None:
    await apply(store, table(column("title"), column("note")))
    await run(store, 'CREATE UNIQUE INDEX "by_hand" ON "courses" ("title", "note")')
    assert await apply(store, table(column("title"), column("note"))) == []
    assert "by_hand" in {index.name for index in (await existing(store)).indexes}


# Keys


async def test_given_keys_are_never_handed_out_again(store: Store) -> None:
    for storage, low, high in ((Storage.INTEGER, 5, 1000), (Storage.BIGINT, "5", "9007199254740993")):
        key = Column("id", ColumnType(storage), nullable=False, identity=True)
        wanted = Table(f"t_{storage}", (key, column("title")), ("id",))
        await apply(store, wanted)
        async with store.write() as tx:
            rows = TableRows(wanted)
            await advance_identity(tx, wanted)
            await rows.insert(tx, {"id": high})
            await advance_identity(tx, wanted)
            await rows.insert(tx, {"id": low})
            await advance_identity(tx, wanted)
            assert int((await rows.insert(tx, {}))["id"]) == int(high) + 1
            assert await rows.delete(tx, {}) == 3
            await advance_identity(tx, wanted)
            assert int((await rows.insert(tx, {}))["id"]) == int(high) + 2


async def test_a_key_becomes_numbered(store: Store) -> None:
    await apply(store, table())
    await insert(store, table(), {"id": 41})
    numbered = table(key=Column("id", ColumnType(Storage.INTEGER), nullable=False, identity=True))
    await apply(store, numbered)
    assert await apply(store, numbered) == []
    await insert(store, numbered, {})
    assert [row["id"] for row in await select(store, numbered)] == [41, 42]


# Tables made by hand

BY_HAND = {
    "sqlite": """CREATE TABLE courses (
        Id INTEGER PRIMARY KEY AUTOINCREMENT, title VARCHAR(50) NOT NULL, "fee" TEXT, born TEXT NOT NULL DEFAULT '',
        data CLOB, open INT, ratio DOUBLE, CHECK (title <> 'NOT NULL'))""",
    "postgres": """CREATE TABLE courses (
        id SERIAL PRIMARY KEY, title VARCHAR(50) NOT NULL, fee NUMERIC, born DATE NOT NULL DEFAULT now(),
        data JSON, open BOOLEAN, ratio DOUBLE PRECISION, CHECK (title <> 'NOT NULL'))""",
}


async def test_a_table_made_by_hand_is_used_again(store: Store) -> None:
    await run(store, BY_HAND[store.dialect.capabilities.driver], "INSERT INTO courses (title) VALUES ('x')")
    wanted = table(
        column("title"),
        column("fee", Storage.DECIMAL),
        column("data", Storage.JSON),
        column("open", Storage.BOOLEAN),
        column("ratio", Storage.FLOAT),
        key=Column("id", ColumnType(Storage.INTEGER), nullable=False, identity=True),
    )
    statements = await apply(store, wanted)
    assert statements
    assert await apply(store, wanted) == []
    await insert(store, wanted, {"title": None, "fee": "1.5", "data": {"b": 1, "a": 2}, "open": True, "ratio": 0.5})
    assert [list(row.values()) for row in await select(store, wanted)] == [
        [1, "x", None, None, None, None],
        [2, None, "1.5", {"a": 2, "b": 1}, True, 0.5],
    ]
    with pytest.raises(ValidationFailed):
        await insert(store, wanted, {"title": "NOT NULL"})


async def test_a_table_made_by_hand_with_other_types(store: Store) -> None:
    await run(store, "CREATE TABLE courses (id INTEGER PRIMARY KEY, fee REAL, level SMALLINT)")
    with pytest.raises(ColumnTypeDiffers) as caught:
        await apply(store, table(column("fee", Storage.DECIMAL)))
    assert caught.value.existing.lower() == "real"
    with pytest.raises(ColumnTypeDiffers):
        await apply(store, table(column("level", Storage.TEXT)))


async def test_there_is_no_table(store: Store) -> None:
    async with store.read() as session:
        for name in ("courses", "pg_class", "sqlite_schema"):
            assert await read_table(session, name) is None


# Fresh and migrated


async def test_a_migrated_table_is_like_a_fresh_one(store: Store) -> None:
    """Whatever the way it came about, up to the order of its columns."""
    final = Table(
        "courses",
        (
            Column("id", ColumnType(Storage.BIGINT), nullable=False, identity=True),
            *EVERY_STORAGE[:5],
            column("required", nullable=False),
            column("with_default", Storage.INTEGER, nullable=False, default=7),
            Column("money", ColumnType(Storage.DECIMAL, 2), default="1.00"),
            DELETED_AT,
        ),
        ("id",),
        (unique("text", live_only=True), plain("deleted_at", live_only=True), plain("integer"), unique("money")),
    )
    first = replace(final, columns=(final.columns[0], column("required")), indexes=(unique("required"),))
    second = replace(final, columns=(*final.columns[:4], final.columns[-1]), indexes=(plain("text"),))
    for wanted in (first, second, final):
        await apply(store, wanted)
    assert await apply(store, final) == []
    fresh = replace(
        final, name="fresh", indexes=tuple(replace(index, name=f"{index.name}_f") for index in final.indexes)
    )
    await apply(store, fresh)
    migrated_columns = {found.name: found for found in (await existing(store)).columns}
    fresh_columns = {found.name: found for found in (await existing(store, "fresh")).columns}
    assert migrated_columns == fresh_columns
    migrated_indexes = {(f"{found.name}_f", found.unique, found.live_only) for found in (await existing(store)).indexes}
    fresh_indexes = {(found.name, found.unique, found.live_only) for found in (await existing(store, "fresh")).indexes}
    assert {index for index in migrated_indexes if index[0].startswith("idx_")} == {
        index for index in fresh_indexes if index[0].startswith("idx_")
    }


async def test_the_plan_of_what_is_there_is_empty(store: Store) -> None:
    wanted = table(column("title", nullable=False), indexes=[unique("title")])
    await apply(store, wanted)
    assert plan_table(wanted, await existing(store), store.dialect) == Plan()
