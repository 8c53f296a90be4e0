"""What a serving process runs, and what is asked of the kernel before any process listens."""

from __future__ import annotations

from rocket_kernel.errors import StartupError
from rocket_kernel.http.app import RocketQuart, create_app
from rocket_kernel.kernel import Kernel, make_kernel
from rocket_kernel.serving.address import Address
from rocket_kernel.serving.options import ServeOptions


def build_kernel(options: ServeOptions) -> Kernel:
    """Not started yet. Raises ConfigError and PluginError."""
    return make_kernel(options.config)


def build_application(options: ServeOptions) -> RocketQuart:
    return create_app(build_kernel(options))


def require_safe_address(kernel: Kernel, address: Address) -> None:
    """Raises StartupError when callers beyond this machine would be admin."""
    if kernel.open_house and not address.is_loopback:
        raise StartupError(
            f"without an authentication plugin Rocket listens on loopback only, not on {address.ip}: every caller is "
            "admin. Enable one, or set server.host to 127.0.0.1"
        )
