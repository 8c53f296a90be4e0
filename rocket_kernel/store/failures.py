"""The one place where a driver's exceptions become errors of the kernel."""

from __future__ import annotations

import sqlite3
from errno import ENOSPC
from types import TracebackType

import asyncpg

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

# Drivers raise OverflowError and UnicodeEncodeError for values they cannot pass on, OSError for lost connections.
DRIVER_ERRORS = (
    sqlite3.Error,
    sqlite3.Warning,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    OverflowError,
    UnicodeEncodeError,
)


class _Translated:
    """Holds no state, so that one value serves every call of a driver."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DRIVER_ERRORS):
            raise translate(error) from error


_TRANSLATED = _Translated()


def translated() -> _Translated:
    """A context in which a driver's exception leaves as an error of the kernel, with the original as its cause."""
    return _TRANSLATED


WITHHELD = "the text of the database is withheld, since it may quote values"

_WITHOUT_VALUES = ("08", "25", "26", "28", "3D", "40", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE whose texts speak of names and of the server, never of what is stored."""


def translate(error: Exception) -> RocketError:
    """What the kernel makes of a driver's exception, which then quotes no values any more: as somebody's cause it may
    end in a log."""
    meaning = _meaning(error)
    _withhold_values(error)
    return meaning


def _withhold_values(error: Exception) -> None:
    """The driver's own checks of parameters are of the class of data errors, too, with the value in their cause."""
    if isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "").startswith(_WITHOUT_VALUES):
        error.args = (WITHHELD,)
        error.message, error.detail, error.context = WITHHELD, None, None
        error.__cause__ = None


def _meaning(error: Exception) -> RocketError:
    match error:
        case sqlite3.Error():
            return _from_sqlite(error)
        case asyncpg.PostgresError():
            return _from_postgres(error)
        case asyncpg.DataError() | OverflowError() | UnicodeEncodeError():
            return ValidationFailed()
        case asyncpg.InterfaceError():
            return _from_interface(error)
        case asyncpg.InternalClientError():
            # What the driver makes of a server that ends the connection just as a statement is sent.
            return ConnectionLost()
        case TimeoutError():
            return Unavailable()
        case OSError():
            return StorageFull() if error.errno == ENOSPC else ConnectionLost()
        case _:
            return InternalError()


def _from_sqlite(error: sqlite3.Error) -> RocketError:
    name = getattr(error, "sqlite_errorname", "")
    text = str(error)
    subject = text.partition(" failed: ")[2]
    if name.startswith("SQLITE_CONSTRAINT"):
        return _from_sqlite_constraint(name, subject)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy()
    if name == "SQLITE_FULL":
        return StorageFull()
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_PROTOCOL", "SQLITE_NOMEM", "SQLITE_INTERRUPT")):
        return Unavailable()
    if name in ("SQLITE_TOOBIG", "SQLITE_MISMATCH") or text.startswith("too many columns"):
        return ValidationFailed()
    if name == "SQLITE_ERROR" and ("already exists" in text or "there is already" in text):
        return Conflict()
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in text:
        return ConnectionLost()
    # The driver reports these without a code of the database: a value too long or of a type it cannot bind.
    if isinstance(error, sqlite3.DataError | sqlite3.InterfaceError):
        return ValidationFailed()
    return InternalError()


def _from_sqlite_constraint(name: str, subject: str) -> RocketError:
    if name == "SQLITE_CONSTRAINT_FOREIGNKEY":
        return ForeignKeyViolation()
    if name == "SQLITE_CONSTRAINT_NOTNULL":
        table, _, column = subject.partition(".")
        return NotNullViolation(table=table, column=column)
    if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"):
        if subject.startswith("index "):
            return UniqueViolation(index=subject.removeprefix("index ").strip("'"))
        columns = [part.partition(".") for part in subject.split(", ")]
        return UniqueViolation(table=columns[0][0], columns=tuple(column for _, _, column in columns))
    return ValidationFailed()


# By SQLSTATE, or by the first two characters of it. https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES: dict[str, type[RocketError]] = {
    "08": ConnectionLost,
    "22": ValidationFailed,
    "23": ValidationFailed,
    "25006": InternalError,
    "26": TransactionConflict,
    "28": Unavailable,
    "3D000": Unavailable,
    "40": TransactionConflict,
    "42701": ValidationFailed,
    "42P04": Conflict,
    "42P07": Conflict,
    "53": Unavailable,
    "53100": StorageFull,
    "54": ValidationFailed,
    "55": StoreBusy,
    "57": ConnectionLost,
    "57014": StoreBusy,
    "58": Unavailable,
}


def _from_postgres(error: asyncpg.PostgresError) -> RocketError:
    code = error.sqlstate or ""
    table = error.table_name or ""
    if code == "23505":
        return UniqueViolation(table=table, index=error.constraint_name or "", columns=_key_columns(error.detail or ""))
    if code == "23502":
        return NotNullViolation(table=table, column=error.column_name or "")
    if code == "23503":
        return ForeignKeyViolation(table=table)
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        # Another process changed the schema; the driver has dropped what it remembered.
        return TransactionConflict()
    return _POSTGRES.get(code, _POSTGRES.get(code[:2], InternalError))()


def _key_columns(detail: str) -> tuple[str, ...]:
    """Of `Key (a, b)=(1, 2) already exists.`, in whatever language the server speaks."""
    before, found, _ = detail.partition(")=(")
    names = tuple(part.strip('"') for part in before.partition("(")[2].split(", "))
    return names if found and all(name.isidentifier() for name in names) else ()


def _from_interface(error: asyncpg.InterfaceError) -> RocketError:
    text = str(error)
    if "closed" in text or "closing" in text or "released" in text:
        return ConnectionLost()
    return InternalError()
