"""Where a server listens: resolving the host, judging it, and taking the port before anything else starts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from rocket_kernel.config import Config
from rocket_kernel.errors import StartupError


@dataclass(frozen=True, slots=True)
class Address:
    """One numeric address to listen on."""

    ip: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.ip else socket.AF_INET

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.ip.partition("%")[0]).is_loopback

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server is about to listen, and what its operator has allowed."""

    address: Address
    allow_default_passwords: bool = False


def listens_beyond_loopback(config: Config) -> bool:
    """Whether a server of this configuration can be reached from other machines. May wait for a name server."""
    try:
        return not resolve(config.server.host, config.server.port).is_loopback
    except StartupError:
        return True


def resolve(host: str, port: int) -> Address:
    """The first address of a host, IPv4 before IPv6. Raises StartupError."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartupError(f"server.host {host!r} cannot be resolved: {error}") from error
    families = (socket.AF_INET, socket.AF_INET6)
    known = sorted((entry for entry in found if entry[0] in families), key=lambda entry: families.index(entry[0]))
    if not known:
        raise StartupError(f"server.host {host!r} has no internet address")
    return Address(str(known[0][4][0]), port)


def claim(address: Address) -> tuple[socket.socket, Address]:
    """A bound socket, not listening yet, and its address with the port that port 0 got. Raises StartupError."""
    claimed = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        # A port whose former connections still linger may be taken again; one that is listened on may not.
        claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claimed.bind((address.ip, address.port))
    except OSError as error:
        claimed.close()
        raise StartupError(f"cannot listen on {address}: {error.strerror}") from error
    return claimed, Address(address.ip, claimed.getsockname()[1])
