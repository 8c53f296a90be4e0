"""`rocket serve`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

import rocket_kernel
from rocket_kernel.commands.options import configuration_options, read_config
from rocket_kernel.commands.work import work
from rocket_kernel.kernel import Kernel
from rocket_kernel.serving.address import Address, Listening, claim, resolve
from rocket_kernel.serving.application import build_kernel, require_safe_address
from rocket_kernel.serving.banner import banner
from rocket_kernel.serving.logs import configure_logging
from rocket_kernel.serving.options import ServeOptions
from rocket_kernel.serving.servers import PREFERENCE, choose_server
from rocket_kernel.serving.shared_dir import shared_dir

Prepare = Callable[[Kernel, Address], Awaitable[str]]
"""Works on the open kernel before anybody is served; the text is for the person at the terminal."""


@click.command()
@configuration_options
@click.option("--host", help="Name or address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option("--workers", type=click.IntRange(1), help="Number of processes.")
@click.option("--server", type=click.Choice(["auto", *PREFERENCE]), help="HTTP server; auto takes the fastest.")
@click.option("--allow-default-passwords", is_flag=True, help="Start even though a well-known password is in force.")
def serve(
    config_path: Path | None,
    data_dir: str | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    server: str | None,
    *,
    allow_default_passwords: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C; running requests may finish."""
    config = read_config(config_path, data_dir, host=host, port=port, workers=workers, server=server)
    listen_and_serve(ServeOptions(config, allow_default_passwords=allow_default_passwords))


def listen_and_serve(options: ServeOptions, prepare: Prepare | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. What `prepare` says is printed once the port is taken. Raises StartupError."""
    server = options.config.server
    http_server = choose_server(server.server)
    address = resolve(server.host, server.port)
    # Everything that can stop the start is tried here, once, rather than in every worker.
    kernel = build_kernel(options)
    require_safe_address(kernel, address)
    bound, address = claim(address)
    configure_logging()
    said = work(kernel, partial(_begin, Listening(address, options.allow_default_passwords), prepare))
    version = rocket_kernel.__version__
    click.echo(banner(kernel, address, version=version, server=str(http_server)), err=True)
    for text in kernel.parts.plugins.deprecations:
        click.echo(f"Warning: {text}", err=True)
    if said:
        click.echo(said)
    with shared_dir(workers=server.workers) as folder:
        http_server.serve(replace(options, shared_dir=folder), bound)


async def _begin(listening: Listening, prepare: Prepare | None, kernel: Kernel) -> str:
    said = "" if prepare is None else await prepare(kernel, listening.address)
    await kernel.parts.plugins.notify("on_listening", kernel=kernel, listening=listening)
    return said
