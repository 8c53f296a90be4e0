from __future__ import annotations

import sqlite3
from traceback import format_exception

import asyncpg
import pytest

from rocket_kernel.errors import (
    Conflict,
    ConnectionLost,
    ForeignKeyViolation,
    InternalError,
    NotNullViolation,
    RocketError,
    StorageFull,
    StoreBusy,
    TransactionConflict,
    Unavailable,
    UniqueViolation,
    ValidationFailed,
)
from rocket_kernel.store.failures import translate, translated


def sqlite_error(name: str, text: str = "", kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind(text)
    error.sqlite_errorname = name
    return error


def postgres_error(code: str, **fields: str) -> asyncpg.PostgresError:
    names = {"C": code, "S": "ERROR", "M": "text", **fields}
    return asyncpg.PostgresError.new(names)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite_error("SQLITE_BUSY", "database is locked"), StoreBusy),
        (sqlite_error("SQLITE_BUSY_SNAPSHOT"), StoreBusy),
        (sqlite_error("SQLITE_LOCKED"), StoreBusy),
        (sqlite_error("SQLITE_FULL", "database or disk is full"), StorageFull),
        (sqlite_error("SQLITE_IOERR_WRITE", "disk I/O error"), Unavailable),
        (sqlite_error("SQLITE_CANTOPEN", "unable to open database file"), Unavailable),
        (sqlite_error("SQLITE_TOOBIG", kind=sqlite3.DataError), ValidationFailed),
        (sqlite_error("SQLITE_ERROR", "too many columns on t"), ValidationFailed),
        (sqlite_error("SQLITE_ERROR", 'table "t" already exists'), Conflict),
        (sqlite_error("SQLITE_ERROR", "there is already an index named i"), Conflict),
        (sqlite_error("SQLITE_ERROR", "no such table: t"), InternalError),
        (sqlite_error("SQLITE_READONLY", "attempt to write a readonly database"), InternalError),
        (sqlite_error("SQLITE_CONSTRAINT_FOREIGNKEY", "FOREIGN KEY constraint failed"), ForeignKeyViolation),
        (sqlite_error("SQLITE_CONSTRAINT_CHECK", "CHECK constraint failed: c"), ValidationFailed),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), ConnectionLost),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), ValidationFailed),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), ValidationFailed),
        (postgres_error("40001"), TransactionConflict),
        (postgres_error("40P01"), TransactionConflict),
        (postgres_error("55P03"), StoreBusy),
        (postgres_error("57P01"), ConnectionLost),
        (postgres_error("57P03"), ConnectionLost),
        (postgres_error("08006"), ConnectionLost),
        (postgres_error("53100"), StorageFull),
        (postgres_error("53300"), Unavailable),
        (postgres_error("3D000"), Unavailable),
        (postgres_error("54000"), ValidationFailed),
        (postgres_error("22003"), ValidationFailed),
        (postgres_error("22P02"), ValidationFailed),
        (postgres_error("23514"), ValidationFailed),
        (postgres_error("42P07"), Conflict),
        (postgres_error("42P04"), Conflict),
        (postgres_error("42601"), InternalError),
        (postgres_error("25006"), InternalError),
        (asyncpg.DataError("invalid input for query argument $1"), ValidationFailed),
        (asyncpg.InterfaceError("connection is closed"), ConnectionLost),
        (asyncpg.InterfaceError("something else"), InternalError),
        (asyncpg.InternalClientError("cannot switch to state 15"), ConnectionLost),
        (ConnectionRefusedError(), ConnectionLost),
        (TimeoutError(), Unavailable),
        (OSError(28, "No space left on device"), StorageFull),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_every_failure_has_its_error(error: Exception, kind: type[RocketError]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize(
    ("text", "table", "columns", "index"),
    [
        ("UNIQUE constraint failed: t.a, t.b", "t", ("a", "b"), ""),
        ("UNIQUE constraint failed: index 'idx_t_fee'", "", (), "idx_t_fee"),
    ],
)
def test_unique_violation_of_sqlite(text: str, table: str, columns: tuple[str, ...], index: str) -> None:
    error = translate(sqlite_error("SQLITE_CONSTRAINT_UNIQUE", text, sqlite3.IntegrityError))
    assert isinstance(error, UniqueViolation)
    assert (error.table, error.columns, error.index) == (table, columns, index)


@pytest.mark.parametrize(
    ("detail", "columns"),
    [
        ("Key (a)=(x) already exists.", ("a",)),
        ('Key (a, "order")=(1, 2) already exists.', ("a", "order")),
        ("Schlüssel »(a)=(x)« existiert bereits.", ("a",)),
        ("Key (lower(a))=((b)=(c)) already exists.", ()),
        ("", ()),
    ],
)
def test_unique_violation_of_postgres(detail: str, columns: tuple[str, ...]) -> None:
    error = translate(postgres_error("23505", t="t", n="idx_t_a", D=detail))
    assert isinstance(error, UniqueViolation)
    assert (error.table, error.index, error.columns) == ("t", "idx_t_a", columns)


def test_not_null_violation() -> None:
    for driver_error in (
        sqlite_error("SQLITE_CONSTRAINT_NOTNULL", "NOT NULL constraint failed: t.a"),
        postgres_error("23502", t="t", c="a"),
    ):
        error = translate(driver_error)
        assert isinstance(error, NotNullViolation)
        assert (error.table, error.column) == ("t", "a")


def test_the_original_is_the_cause_and_stays_out_of_the_text() -> None:
    original = sqlite_error("SQLITE_ERROR", "near SECRET: syntax error")
    with pytest.raises(InternalError) as caught, translated():
        raise original
    assert caught.value.__cause__ is original
    assert "SECRET" not in str(caught.value.body())


@pytest.mark.parametrize(("state", "shown"), [("23505", False), ("22P02", False), ("42703", True), ("40P01", True)])
def test_what_could_quote_values_is_taken_out_of_the_original(state: str, shown: bool) -> None:
    original = postgres_error(state, M="text with SECRET", D="Key (a)=(SECRET) already exists.", W="SECRET", t="t")
    original.__cause__ = ValueError("invalid UUID 'SECRET'")
    with pytest.raises(RocketError) as caught, translated():
        raise original
    assert ("SECRET" in "".join(format_exception(caught.value))) is shown
    assert original.table_name == "t"


def test_what_no_driver_raised_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
    with pytest.raises(StoreBusy), translated():
        raise StoreBusy
