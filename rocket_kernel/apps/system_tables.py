"""The kernel's own tables: contract §17."""

from __future__ import annotations

from rocket_kernel.store.columns import Column, ColumnType, Index, Storage, Table

_TEXT = ColumnType(Storage.TEXT)
_TIMESTAMP = ColumnType(Storage.TIMESTAMP)

APPS = Table(
    name="_apps",
    columns=(
        Column("name", _TEXT, nullable=False),
        Column("display_name", _TEXT, nullable=False),
        Column("db_name", _TEXT, nullable=False),
        Column("jwt_secret", _TEXT, nullable=False),
        Column("db_driver", _TEXT, nullable=False),
        Column("status", _TEXT, nullable=False, default="active"),
        Column("created_at", _TIMESTAMP, nullable=False),
        Column("updated_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("name",),
    indexes=(Index("idx__apps_db_name", ("db_name",), unique=True),),
)

SETTINGS = Table(
    name="_settings",
    columns=(Column("name", _TEXT, nullable=False), Column("value", _TEXT, nullable=False)),
    primary_key=("name",),
)

STATE = Table(
    name="_state",
    columns=(
        Column("name", _TEXT, nullable=False),
        Column("revision", ColumnType(Storage.INTEGER), nullable=False, default=0),
        Column("status", _TEXT, nullable=False, default="active"),
        Column("identity", _TEXT, nullable=False, default=""),
        Column("callers", ColumnType(Storage.INTEGER), nullable=False, default=0),
    ),
    primary_key=("name",),
)
"""One row in each app's database: how often its metadata has changed, whether the app is being deleted, which app
it is: a pool of connections finds its way to a new database of the same name, with another app in it; and how often
somebody who may call has changed.

Every process compares it with what it has compiled, on the connection it is about to use anyway.
"""

STATE_KEY = "app"

IDEMPOTENCY = Table(
    name="_idempotency",
    columns=(
        Column("key", _TEXT, nullable=False),
        Column("scope", _TEXT, nullable=False),
        Column("request_hash", _TEXT, nullable=False),
        Column("status", ColumnType(Storage.INTEGER)),
        Column("response", ColumnType(Storage.DOCUMENT)),
        Column("expires_at", _TIMESTAMP, nullable=False),
    ),
    primary_key=("scope", "key"),
    indexes=(Index("idx__idempotency_expires_at", ("expires_at",)),),
)
"""Answers to creates that brought an Idempotency-Key. The key's row is claimed before the record is written and
completed after it, in one transaction, so that nobody ever sees it without status and response.
"""

APP_TABLES = (IDEMPOTENCY,)
"""In every app, beside those of metadata."""

MANAGEMENT_TABLES = (APPS, SETTINGS)
