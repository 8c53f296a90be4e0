"""Secrets that the server makes for itself and keeps in the management database."""

from __future__ import annotations

import secrets

from rocket_kernel.apps.system_tables import SETTINGS
from rocket_kernel.secret import Secret
from rocket_kernel.store.protocol import Transaction
from rocket_kernel.store.table_rows import TableRows

_SETTINGS = TableRows(SETTINGS)
_SECRET_BYTES = 32


async def kept_secret(tx: Transaction, name: str) -> Secret:
    """The secret of that name, 32 random bytes as text; made when it is asked for the first time.

    `tx` is a transaction of the management database, such as that of `on_platform_opened`. All processes get the same.
    """
    await _SETTINGS.try_insert(tx, {"name": name, "value": secrets.token_urlsafe(_SECRET_BYTES)})
    row = await _SETTINGS.first(tx, {"name": name})
    if row is None:
        raise RuntimeError(f"the secret {name!r} was removed while it was made")
    return Secret(row["value"])
