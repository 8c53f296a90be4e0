"""Configuration -> the servers that hold databases, by driver name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.store.postgres import PostgresServer
from rocket_kernel.store.protocol import Server
from rocket_kernel.store.sqlite import SqliteServer

DRIVERS = ("postgres", "sqlite")


def configured_servers(config: DatabaseConfig, *, acquire_timeout_s: float = 10.0) -> Mapping[str, Server]:
    """The embedded driver always, the database server when it is the main driver or has a user configured."""
    servers: dict[str, Server] = {
        "sqlite": SqliteServer(config.data_dir, synchronous=config.synchronous, acquire_timeout_s=acquire_timeout_s)
    }
    if config.driver == "postgres" or config.user is not None:
        servers["postgres"] = PostgresServer(
            host=config.host,
            port=config.port,
            user=config.user,
            password=config.password.reveal() if config.password is not None else None,
            management=config.name,
            acquire_timeout_s=acquire_timeout_s,
        )
    return MappingProxyType(servers)
