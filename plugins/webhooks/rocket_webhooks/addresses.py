"""Which addresses may be dialled. A table of our own: Python's `is_global` lets IPv4 inside IPv6 through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REFUSED_IPV4: tuple[IPv4Network, ...] = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host, this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade translation; the metadata service 100.100.100.200 is in it
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # metadata service of a cloud, in the middle of public addresses
        "169.254.0.0/16",  # link-local; most metadata services are 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; the metadata service 192.0.0.192 is in it
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""The only range from which addresses for everybody are given out; loopback, private, link-local, site-local,
multicast and unspecified addresses are all outside of it."""

REFUSED_IPV6: tuple[IPv6Network, ...] = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo (2001::/32), benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address stands in it
        "3fff::/20",  # documentation
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = frozenset({b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"})


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """`allowed` are networks that may be dialled although they are in a refused range."""

    allowed: tuple[Network, ...] = ()

    def allows(self, text: str) -> bool:
        """`text` is one address as a resolver gives it. What cannot be read, or has a zone, is refused."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        inner = embedded(address)
        candidates = (address,) if inner is None else (address, inner)
        if any(candidate in network for candidate in candidates for network in self.allowed):
            return True
        return not is_refused(address)


def is_refused(address: Address) -> bool:
    """Not meant for everybody, by the tables above; of IPv4 inside IPv6 the inner address counts."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in REFUSED_IPV4)
    inner = embedded(address)
    if inner is not None and is_refused(inner):
        return True
    if address in _MAPPED or address in _NAT64:
        return False  # reaches the inner address and nothing else
    return address not in _PUBLIC_IPV6 or any(address in network for network in REFUSED_IPV6)


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for or ends in by convention; None when there is none."""
    if isinstance(address, IPv4Address):
        return None
    packed = address.packed
    if address in _MAPPED or address in _NAT64 or packed[8:12] in _ISATAP:
        return IPv4Address(packed[12:])
    return None


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs, or single addresses. Raises ValueError with the text that is neither."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip()))
        except ValueError as error:
            raise ValueError(f"{text!r} is no network: {error}") from error
    return tuple(networks)


def allowed_of(guard: AddressGuard, addresses: Sequence[str]) -> list[str]:
    """Those of a name's addresses that may be dialled, in the resolver's order, each once."""
    return [text for text in dict.fromkeys(addresses) if guard.allows(text)]
