"""`rocket demo`: an example with data, and what to try on it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from rocket_kernel.commands.options import configuration_options, read_config
from rocket_kernel.commands.serve import listen_and_serve
from rocket_kernel.config import Config
from rocket_kernel.demo.example import ADMIN, NAME, PEOPLE, missing_plugins, read_document, tour
from rocket_kernel.demo.furnish import first_passwords, furnish
from rocket_kernel.errors import StartupError
from rocket_kernel.kernel import Kernel
from rocket_kernel.plugins import installed_plugins
from rocket_kernel.serving.address import Address
from rocket_kernel.serving.options import ServeOptions

_LOOPBACK = "127.0.0.1"
_RANDOM_BYTES = 9


@click.command()
@configuration_options
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free port.")
def demo(config_path: Path | None, data_dir: str | None, port: int | None) -> None:
    """Serve a help desk with data, on this machine only, and print what to try."""
    with _place(data_dir) as folder:
        config = _config(config_path, data_dir, folder, port)
        missing = missing_plugins(
            read_document(), {plugin.name for plugin in installed_plugins(config.plugins.enabled)}
        )
        if missing:
            packages = " ".join(f"rocket-{name}" for name in missing)
            raise StartupError(f"the demo needs plugins that are not there: pip install {packages}")
        password = secrets.token_urlsafe(_RANDOM_BYTES)

        async def prepare(kernel: Kernel, address: Address) -> str:
            await furnish(kernel, password)
            return welcome(f"http://{address}", password)

        with first_passwords(password):
            listen_and_serve(ServeOptions(config), prepare)


def welcome(url: str, password: str) -> str:
    people = [f"  {email:<21} {role}" for email, role in {**PEOPLE, ADMIN: "admin"}.items()]
    lines = [
        f"A help desk is served at {url}/api/{NAME}. Ctrl-C ends it. Its people, all with the password {password}:"
    ]
    return "\n".join(
        [*lines, *people, "", "Try this in another terminal, with curl 7.82 or later:", "", tour(url, password)]
    )


@contextmanager
def _place(data_dir: str | None) -> Iterator[Path]:
    """Where the demo keeps its data: where it was told to, or in a folder that goes with it."""
    if data_dir is not None:
        yield Path(data_dir).absolute()
        return
    with TemporaryDirectory(prefix="rocket-demo-") as folder:
        yield Path(folder)


def _config(config_path: Path | None, data_dir: str | None, folder: Path, port: int | None) -> Config:
    """What `--config` names. Without it neither app.yaml nor the environment count: they belong to somebody's own apps."""
    if config_path is not None:
        return read_config(config_path, data_dir, host=_LOOPBACK, port=port)
    config = Config()
    return replace(
        config,
        server=replace(config.server, host=_LOOPBACK, port=config.server.port if port is None else port),
        database=replace(config.database, data_dir=folder),
        storage=replace(config.storage, local_path=folder / "uploads"),
    )
