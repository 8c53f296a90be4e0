"""Addresses that must never be dialled, in every form they can be written in: no connection is made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from rocket_webhooks.addresses import AddressGuard, embedded, is_refused, parse_networks
from rocket_webhooks.client import CallFailed, OutboundClient

PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "223.255.255.254")


def words(text: str) -> list[str]:
    """Those that stand before a `#` in each line."""
    return [word for line in text.splitlines() for word in line.partition(" # ")[0].split()]


LITERAL = words("""
    127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.0.0.1 0.255.255.255 # loopback, unspecified
    10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 # private
    100.64.0.1 100.127.255.254 # carrier-grade translation
    169.254.0.1 169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 # link-local, metadata services
    192.0.0.1 192.0.2.1 198.51.100.7 203.0.113.9 198.18.0.1 198.19.255.255 192.88.99.1 # protocol, documentation, tests
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 # multicast, reserved, broadcast
""")
IPV6 = words("""
    ::1 :: 0:0:0:0:0:0:0:1 ::127.0.0.1 ::7f00:1 ::2 # loopback, unspecified, compatible
    ::ffff:127.0.0.1 ::ffff:7f00:1 0:0:0:0:0:ffff:7f00:0001 ::ffff:10.0.0.1 ::ffff:169.254.169.254 # mapped
    ::ffff:a9fe:a9fe ::ffff:192.168.1.1 ::ffff:0.0.0.0 ::FFFF:127.0.0.1 ::ffff:0:127.0.0.1 ::ffff:100.64.0.1
    64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 64:ff9b:1::8.8.8.8 # NAT64
    2002:7f00:1:: 2002:a00:1:: 2002:c0a8:101::1 2002:808:808:: 2001:0:7f00:1::1 2001::1 # 6to4, Teredo
    2606:4700::5efe:127.0.0.1 2606:4700::5efe:7f00:1 2606:4700:0:0:200:5efe:a00:1 fe80::5efe:127.0.0.1 # ISATAP
    fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fdff:ffff::1 # private, metadata services
    fe80::1 febf::1 fe80::a9fe:a9fe fec0::1 ff01::1 ff02::1 ff05::2 ff0e::1 # link-local, site-local, multicast
    2001:db8::1 3fff::1 100::1 2001:2::1 2001:10::1 5f00::1 4000::1 e000::1 # documentation, discard, not given out
""")
ODD = words("""
    2130706433 2130706434 0x7f000001 0x7F.0x0.0x0.0x1 017700000001 0177.0.0.1 0x7f.0.0.1 0x7f.1 # other notations
    127.1 127.0.1 0 00 0x0 0.0 # short forms
    3232235777 0xc0a80101 167772161 0xa000001 192.168.257 0300.0250.1.1 10.1 # private
    2852039166 0xa9fea9fe 0251.0376.0251.0376 # metadata
    ①②⑦.⓪.⓪.① 127。0。0。1 127｡0｡0｡1 \uff11\uff12\uff17.\uff10.\uff10.\uff11 # digits and dots of Unicode
    localhost LOCALHOST localhost. ip6-localhost # names of this machine
""")
ZONES = words("[fe80::1%25lo] [::1%25lo] [fe80::1%lo] [fe80::1%251]")
HUNG_UP = ("answer is not HTTP, or broke off", "connection broke")
TARGETS = [*LITERAL, *(f"[{text}]" for text in IPV6), *ODD, *ZONES]


@dataclass(slots=True)
class Trap:
    """Listens wherever this machine can be reached, and counts who connects."""

    port: int
    connections: int = 0
    servers: list[asyncio.Server] = field(default_factory=list)

    async def connected(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    made = Trap(0)
    listening = await asyncio.start_server(made.connected, "0.0.0.0", 0)
    made.port = listening.sockets[0].getsockname()[1]
    made.servers.append(listening)
    if socket.has_dualstack_ipv6():
        made.servers.append(await asyncio.start_server(made.connected, "::1", made.port))
    yield made
    for server in made.servers:
        server.close()
        await server.wait_closed()


def client(
    guard: AddressGuard | None = None, resolve: Sequence[Sequence[str]] | None = None, timeout_s: float = 5.0
) -> OutboundClient:
    if resolve is None:
        return OutboundClient(guard or AddressGuard(), timeout_s=timeout_s)
    answers = iter(resolve)

    async def answer(_host: str, _port: int) -> Sequence[str]:
        return next(answers)

    return OutboundClient(guard or AddressGuard(), timeout_s=timeout_s, resolve=answer)


async def reason(outbound: OutboundClient, url: str) -> str:
    with pytest.raises(CallFailed) as failed:
        await outbound.send("POST", url, {"Content-Type": "application/json"}, b"{}")
    return str(failed.value)


def test_there_are_enough_forms() -> None:
    assert len(set(TARGETS)) >= 120


async def test_no_form_of_a_refused_address_is_dialled(trap: Trap) -> None:
    outbound = client()
    reasons = {target: await reason(outbound, f"http://{target}:{trap.port}/hook") for target in TARGETS}
    await outbound.close()
    # Some forms are no URL at all, and some systems do not know every name.
    allowed = {"address not allowed", "invalid url or header", "name not resolved"}
    assert {target: said for target, said in reasons.items() if said not in allowed} == {}
    unknown = {target for target, said in reasons.items() if said != "address not allowed"}
    assert unknown <= {*ODD, *ZONES}
    assert trap.connections == 0


async def test_the_trap_catches_what_is_allowed(trap: Trap) -> None:
    outbound = client(AddressGuard(parse_networks(["127.0.0.0/8"])))
    for form in ("127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]"):
        assert await reason(outbound, f"http://{form}:{trap.port}/") in HUNG_UP
    assert await reason(outbound, f"http://10.0.0.1:{trap.port}/") == "address not allowed"
    await outbound.close()
    assert trap.connections == 3


async def test_a_name_that_changes_its_mind_is_judged_again(trap: Trap) -> None:
    answers = [["8.8.8.8", "127.0.0.1"], ["127.0.0.1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "fe80::1%lo"], []]
    outbound = client(resolve=answers, timeout_s=0.3)
    # The public address is tried, and nothing but that: this test's network may not reach it.
    first = await reason(outbound, f"http://rebinding.test:{trap.port}/")
    assert first != "address not allowed"
    for _ in answers[1:]:
        assert await reason(outbound, f"http://rebinding.test:{trap.port}/") == "address not allowed"
    await outbound.close()
    assert trap.connections == 0


async def test_the_address_that_was_judged_is_the_one_that_is_dialled(trap: Trap) -> None:
    """A second look-up between judging and dialling would find the second answer."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    outbound = OutboundClient(AddressGuard(parse_networks(["127.0.0.1"])), timeout_s=5, resolve=resolve)
    assert await reason(outbound, f"http://no-such-name.invalid:{trap.port}/") in HUNG_UP
    await outbound.close()
    assert (asked, trap.connections) == (["no-such-name.invalid"], 1)


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_allowed(text: str) -> None:
    assert AddressGuard().allows(text)


@pytest.mark.parametrize("text", [*LITERAL, *IPV6])
def test_refused_ranges(text: str) -> None:
    assert not AddressGuard().allows(text)


def test_an_inner_address_that_is_public_is_reached_through_mapping_and_translation() -> None:
    assert AddressGuard().allows("::ffff:8.8.8.8")
    assert AddressGuard().allows("64:ff9b::8.8.8.8")


@pytest.mark.parametrize("text", ["", "nonsense", "8.8.8.8/32", "fe80::1%eth0", "::1%1", "8.8.8.8%lo", "010.0.0.1"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    assert not AddressGuard(parse_networks(["0.0.0.0/0", "::/0"])).allows(text)


def test_allowed_networks() -> None:
    guard = AddressGuard(parse_networks(["10.1.0.0/16", "fd00::/8", "192.168.7.7"]))
    assert [text for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7", "192.168.7.7") if not guard.allows(text)] == []
    assert [text for text in ("10.2.0.1", "192.168.7.8", "127.0.0.1", "fe80::1") if guard.allows(text)] == []


@pytest.mark.parametrize("text", ["10.0.0.1/8", "300.0.0.0/8", "private", ""])
def test_networks_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        parse_networks([text])


def test_every_ipv4_address_is_judged_alike_in_all_that_hold_it() -> None:
    from ipaddress import ip_address

    for text in LITERAL:
        for form in (f"::ffff:{text}", f"64:ff9b::{text}"):
            inner = embedded(ip_address(form))
            assert str(inner) == text
            assert is_refused(ip_address(form))
