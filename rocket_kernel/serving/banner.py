"""What a person at the terminal reads when the server starts."""

from __future__ import annotations

from rocket_kernel.config import Config, DatabaseConfig
from rocket_kernel.kernel import Kernel
from rocket_kernel.serving.address import Address

OPEN_HOUSE_WARNING = "Warning: no authentication plugin is enabled: every caller on this machine is admin."


def banner(kernel: Kernel, address: Address, *, version: str, server: str) -> str:
    config = kernel.parts.config
    plugins = ", ".join(f"{plugin.name} {plugin.version}" for plugin in kernel.parts.plugins.plugins)
    facts = {
        "address": f"http://{address}",
        "database": f"{config.database.driver}, {database_place(config)}",
        "plugins": plugins or "none",
        "workers": str(config.server.workers),
        "server": server,
    }
    lines = [f"Rocket {version}", *(f"  {name:<9} {value}" for name, value in facts.items())]
    if kernel.open_house:
        lines.append(OPEN_HOUSE_WARNING)
    return "\n".join(lines)


def database_place(config: Config) -> str:
    database = config.database
    # The default driver is the one that keeps files of its own instead of asking a server.
    if database.driver == DatabaseConfig().driver:
        return str(database.data_dir)
    return f"{database.name} on {database.host}:{database.port}"
