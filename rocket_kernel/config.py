"""The configuration of one kernel: read once, frozen, handed down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from rocket_kernel.config_sources import Tree, find_file, overlay, read_environment, read_file, read_overrides
from rocket_kernel.errors import ConfigError
from rocket_kernel.secret import Secret
from rocket_kernel.setting_types import NotEmpty, Range
from rocket_kernel.settings import parse_settings

__all__ = [
    "Config",
    "DatabaseConfig",
    "InstrumentationConfig",
    "LimitsConfig",
    "PluginsConfig",
    "S3Config",
    "ServerConfig",
    "StorageConfig",
    "load_config",
    "parse_settings",
]

Name = Annotated[str, NotEmpty()]
Port = Annotated[int, Range(0, 65535)]
Positive = Annotated[int, Range(1)]
Fraction = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    host: Name = "127.0.0.1"
    port: Port = 8080
    workers: Positive = 1
    server: Literal["auto", "granian", "hypercorn"] = "auto"
    cors_origins: tuple[Name, ...] = ()
    max_body_bytes: Positive = 10_485_760


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """`data_dir` and `synchronous` are for the embedded database, the rest for a database server."""

    driver: Literal["sqlite", "postgres"] = "sqlite"
    data_dir: Path = Path("data")
    host: Name = "localhost"
    port: Port = 5432
    user: str | None = None
    password: Secret | None = None
    name: Name = "rocket"
    pool_size: Positive = 10
    synchronous: Literal["off", "normal", "full", "extra"] = "full"


@dataclass(frozen=True, slots=True)
class S3Config:
    endpoint: str | None = None
    bucket: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: Secret | None = None
    prefix: str = ""
    path_style: bool = False


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """`max_file_size` is in bytes."""

    driver: Literal["local", "s3"] = "local"
    local_path: Path = Path("uploads")
    max_file_size: Positive = 10_485_760
    s3: S3Config = S3Config()


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    max_per_page: Positive = 200
    include_depth: Positive = 4
    nested_depth: Positive = 8
    nested_records: Positive = 1000


@dataclass(frozen=True, slots=True)
class InstrumentationConfig:
    enabled: bool = True
    retention_days: Positive = 7
    sampling_rate: Fraction = 1.0
    buffer_size: Positive = 500
    flush_interval_ms: Positive = 100


@dataclass(frozen=True, slots=True)
class PluginsConfig:
    """`settings` holds each plugin's values unread: its plugin parses them with `parse_settings`.

    Values are kept out of the repr, because only the plugin knows which of them are secret.
    """

    enabled: Literal["all"] | tuple[Name, ...] = "all"
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    storage: StorageConfig = StorageConfig()
    limits: LimitsConfig = LimitsConfig()
    instrumentation: InstrumentationConfig = InstrumentationConfig()
    plugins: PluginsConfig = field(default_factory=PluginsConfig)
    app_pool_size: Positive = 5
    platform_jwt_secret: Annotated[Secret, NotEmpty()] | None = None


def load_config(
    *,
    path: Path | None = None,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read the configuration: `overrides` over the environment over the file over the defaults.

    `path` is the file the user named, `cwd` an absolute folder where the search for `app.yaml` begins and
    to which relative paths belong. `overrides` has dotted keys (`server.port`); None there means not given.
    Raises ConfigError, whose text names the source and the key.
    """
    file = find_file(cwd) if path is None else cwd / path
    sources: list[tuple[str, Tree]] = [
        ("environment", read_environment(environ, top_level=[section.name for section in fields(Config)])),
        ("command line", read_overrides(overrides or {})),
    ]
    if file is not None:
        sources.insert(0, (str(file), read_file(file)))
    merged: Tree = {}
    for source, tree in sources:
        _check(tree, source)
        merged = overlay(merged, tree)
    return _anchored(parse_settings(Config, merged, where=""), cwd)


def _check(tree: Tree, source: str) -> None:
    """Refuse what is wrong in one source even where another one overrides it."""
    try:
        parse_settings(Config, tree, where="")
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _anchored(config: Config, cwd: Path) -> Config:
    return replace(
        config,
        database=replace(config.database, data_dir=cwd / config.database.data_dir),
        storage=replace(config.storage, local_path=cwd / config.storage.local_path),
    )
