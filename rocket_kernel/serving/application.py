"""What a serving process runs, and what is asked of the kernel before any process listens."""

from __future__ import annotations

from rocket_kernel.errors import StartupError
from rocket_kernel.http.app import RocketQuart, create_app
from rocket_kernel.kernel import Kernel, make_kernel
from rocket_kernel.serving.address import Address
from rocket_kernel.serving.garbage import look_seldom
from rocket_kernel.serving.options import ServeOptions
from rocket_kernel.serving.running import Telling, folder_of


def build_kernel(options: ServeOptions) -> Kernel:
    """Not started yet. Raises ConfigError and PluginError."""
    return make_kernel(options.config, shared_dir=options.shared_dir)


def build_application(options: ServeOptions) -> RocketQuart:
    kernel = build_kernel(options)
    server = options.config.server
    telling = Telling(folder_of(options.config), f"{server.host}:{server.port}", kernel.parts.plugins.times)
    kernel.watch.each_look = telling.tell
    application = create_app(kernel)
    application.before_serving(look_seldom)
    application.after_serving(telling.end)
    return application


def require_safe_address(kernel: Kernel, address: Address) -> None:
    """Raises StartupError when callers beyond this machine would be admin."""
    if kernel.open_house and not address.is_loopback:
        raise StartupError(
            f"without an authentication plugin Rocket listens on loopback only, not on {address.ip}: every caller is "
            "admin. Enable one, or set server.host to 127.0.0.1"
        )
