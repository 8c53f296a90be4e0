"""The plugin's tables: contract §17. Apps and the platform have the same ones under other names."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_kernel import Column, ColumnType, Index, Storage, Table, TableRows

_TEXT = ColumnType(Storage.TEXT)
_UUID = ColumnType(Storage.UUID)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)
_BOOLEAN = ColumnType(Storage.BOOLEAN)
_INTEGER = ColumnType(Storage.INTEGER)
_LIST = ColumnType(Storage.DOCUMENT)


def _users(name: str) -> Table:
    return Table(
        name=name,
        columns=(
            Column("id", _UUID, nullable=False),
            Column("email", _TEXT, nullable=False),
            Column("password_hash", _TEXT, nullable=False),
            Column("roles", _LIST, nullable=False),
            Column("active", _BOOLEAN, nullable=False, default=True),
            Column("must_change_password", _BOOLEAN, nullable=False, default=False),
            # Grows with every new password; tokens bear it, so those from before are worthless.
            Column("generation", _INTEGER, nullable=False, default=0),
            Column("created_at", _TIMESTAMP, nullable=False),
            Column("updated_at", _TIMESTAMP, nullable=False),
        ),
        primary_key=("id",),
        indexes=(Index(f"idx_{name}_email", ("email",), unique=True),),
    )


def _refresh_tokens(name: str, users: str) -> Table:
    return Table(
        name=name,
        columns=(
            Column("id", _UUID, nullable=False),
            Column("user_id", _UUID, nullable=False, references=f"{users}.id"),
            Column("token_hash", _TEXT, nullable=False),
            Column("family_id", _UUID, nullable=False),
            Column("used_at", _TIMESTAMP),
            Column("expires_at", _TIMESTAMP, nullable=False),
            Column("created_at", _TIMESTAMP, nullable=False),
        ),
        primary_key=("id",),
        indexes=(
            Index(f"idx_{name}_token_hash", ("token_hash",), unique=True),
            Index(f"idx_{name}_family_id", ("family_id",)),
            Index(f"idx_{name}_user_id", ("user_id",)),
        ),
    )


def _login_failures(name: str) -> Table:
    return Table(
        name=name,
        columns=(
            Column("account", _TEXT, nullable=False),
            Column("address", _TEXT, nullable=False),
            Column("failed_at", _TIMESTAMP, nullable=False),
            Column("recent", _LIST, nullable=False),
        ),
        primary_key=("account", "address"),
        indexes=(Index(f"idx_{name}_failed_at", ("failed_at",)),),
    )


USERS = _users("_users")
REFRESH_TOKENS = _refresh_tokens("_refresh_tokens", "_users")
LOGIN_FAILURES = _login_failures("_login_failures")
"""One row for an account and a client's address: the times of its failures, and the last of them."""

INVITES = Table(
    name="_invites",
    columns=(
        Column("id", _UUID, nullable=False),
        Column("email", _TEXT, nullable=False),
        Column("roles", _LIST, nullable=False),
        Column("token", _TEXT, nullable=False),
        Column("expires_at", _TIMESTAMP, nullable=False),
        Column("accepted_at", _TIMESTAMP),
        Column("invited_by", _UUID),
        Column("created_at", _TIMESTAMP, nullable=False),
        # The address while the invite may hold back another one, so that two of them collide in an index.
        Column("pending_email", _TEXT),
    ),
    primary_key=("id",),
    indexes=(
        Index("idx__invites_token", ("token",), unique=True),
        Index("idx__invites_pending_email", ("pending_email",), unique=True),
    ),
)

PLATFORM_USERS = _users("_platform_users")
PLATFORM_REFRESH_TOKENS = _refresh_tokens("_platform_refresh_tokens", "_platform_users")
PLATFORM_LOGIN_FAILURES = _login_failures("_platform_login_failures")

APP_TABLES = (USERS, REFRESH_TOKENS, LOGIN_FAILURES, INVITES)
PLATFORM_TABLES = (PLATFORM_USERS, PLATFORM_REFRESH_TOKENS, PLATFORM_LOGIN_FAILURES)


@dataclass(frozen=True, slots=True)
class UserTables:
    """Where the users of an app, or those of the platform, are."""

    users: TableRows
    refresh_tokens: TableRows
    login_failures: TableRows


OF_APPS = UserTables(TableRows(USERS), TableRows(REFRESH_TOKENS), TableRows(LOGIN_FAILURES))
OF_PLATFORM = UserTables(
    TableRows(PLATFORM_USERS), TableRows(PLATFORM_REFRESH_TOKENS), TableRows(PLATFORM_LOGIN_FAILURES)
)
