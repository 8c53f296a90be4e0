"""Who may read the metrics: contract §16.7."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

from rocket_kernel import Forbidden, Request, authenticate

_FORWARDING = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-host",
        "x-original-uri",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
    }
)
_FORWARDING_PREFIXES = ("x-forwarded", "x-original-forwarded", "x-proxyuser", "x-arr-", "x-appengine-")


async def require_metrics_reader(request: Request) -> None:
    """A process of this machine that speaks for itself, or a platform administrator. Raises Unauthorized, Forbidden."""
    if is_loopback(request.peer) and not is_forwarded(request.headers):
        return
    actor = await authenticate(request)
    if not actor.is_platform_admin:
        raise Forbidden


def is_loopback(peer: str | None) -> bool:
    """The other end of a connection; None, as of a socket in the file system, is not."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_forwarded(names: Iterable[str]) -> bool:
    """Whether a proxy has put its mark on a request: then the peer is the proxy and says nothing about the client."""
    return any(
        name in _FORWARDING or name.startswith(_FORWARDING_PREFIXES)
        for name in (name.replace("_", "-") for name in names)
    )
