"""Options that several commands share, and the configuration they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from rocket_kernel.config import Config, load_config

F = TypeVar("F", bound=Callable[..., Any])

_config = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration instead of app.yaml.",
)
_data_dir = click.option("--data-dir", metavar="DIR", help="Folder of the embedded database.")


def configuration_options(command: F) -> F:
    """Give a command `config_path` and `data_dir`."""
    return _config(_data_dir(command))


def read_config(config_path: Path | None, data_dir: str | None, **overrides: object) -> Config:
    """The configuration of this command line; `overrides` are keys of the section `server`. Raises ConfigError."""
    return load_config(
        path=config_path,
        environ=os.environ,
        cwd=Path.cwd(),
        overrides={"database.data_dir": data_dir, **{f"server.{key}": value for key, value in overrides.items()}},
    )
