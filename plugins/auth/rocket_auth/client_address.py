"""Who a request comes from, as far as that can be believed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from rocket_kernel import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORWARDED = "x-forwarded-for"
"""The one header that counts: a proxy that knows another one would pass this one on as the client wrote it."""

_CLIENT_PREFIX = 64
"""Whoever has an IPv6 address has all of its /64."""


def parse_proxies(texts: Sequence[str]) -> tuple[Network, ...]:
    """Raises ConfigError."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise ConfigError(f"plugins.settings.auth.trusted_proxies: {error}") from error


def client_address(peer: str | None, forwarded: str | None, trusted: Sequence[Network]) -> str:
    """An address, or a /64 network of IPv6, as text; empty where nothing is known.

    Each trusted hop vouches for the address before it, from the end of the header on.
    """
    address = _read(peer or "")
    hops = forwarded.split(",") if forwarded else []
    while address is not None and hops and any(address in network for network in trusted):
        before = _read(_without_port(hops.pop().strip()))
        if before is None:
            break
        address = before
    if address is None:
        return ""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _CLIENT_PREFIX), strict=False))
    return str(address)


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    """`1.2.3.4:80` and `[::1]:80` as some proxies write them."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
