"""The one way out: bounded in time and size, following nothing, trusting nothing of the environment."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from rocket_kernel.testing import Receiver
from rocket_webhooks.addresses import AddressGuard, parse_networks
from rocket_webhooks.client import KEPT_BYTES, CallFailed, OutboundClient, Reply

HERE = AddressGuard(parse_networks(["127.0.0.0/8", "::1"]))
BROKEN = ("answer is not HTTP, or broke off", "connection broke")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def outbound() -> AsyncIterator[OutboundClient]:
    made = OutboundClient(HERE, timeout_s=0.5)
    yield made
    await made.close()


@pytest.fixture
async def talking() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """Servers that say what a test has written, byte by byte."""
    servers: list[asyncio.Server] = []

    async def start(talk: Talk) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"

    yield start
    for server in servers:
        server.close()


async def post(outbound: OutboundClient, url: str, body: bytes = b"{}") -> Reply:
    return await outbound.send("POST", url, {"X-One": "1"}, body)


async def failure(outbound: OutboundClient, url: str) -> str:
    with pytest.raises(CallFailed) as failed:
        await post(outbound, url)
    return str(failed.value)


async def test_what_is_sent_and_what_comes_back(outbound: OutboundClient, receiver: Receiver) -> None:
    receiver.answer(status=202, body=b"thanks", headers={"Retry-After": "7"})
    reply = await outbound.send("PUT", f"{receiver.url}/a%20b?c=d#e", {"X-One": " 1 ", "X-Two": "ü"}, b'{"n":1}')
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (202, b"thanks", "7")
    (received,) = receiver.requests
    assert (received.method, received.path, received.body) == ("PUT", "/a%20b?c=d", b'{"n":1}')
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (received.headers["x-one"], received.headers["x-two"]) == ("1", "ü".encode().decode("latin-1"))
    assert received.headers["content-length"] == "7"


async def test_a_get_has_no_body(outbound: OutboundClient, receiver: Receiver) -> None:
    await outbound.send("GET", receiver.url, {}, None)
    (received,) = receiver.requests
    assert (received.body, "content-length" in received.headers, received.path) == (b"", False, "/")


async def test_connections_are_used_again(outbound: OutboundClient, receiver: Receiver) -> None:
    for _ in range(3):
        await post(outbound, receiver.url)
    assert len(receiver._connections) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers(outbound: OutboundClient, receiver: Receiver, status: int) -> None:
    async with Receiver() as elsewhere:
        receiver.answer(status=status, headers={"Location": f"{elsewhere.url}/inside"})
        assert (await post(outbound, f"{receiver.url}/hook")).status == status
        assert elsewhere.requests == []
    assert [received.path for received in receiver.requests] == ["/hook"]


async def test_proxies_of_the_environment_are_ignored(
    outbound: OutboundClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        fresh = OutboundClient(HERE, timeout_s=1)
        assert (await post(fresh, receiver.url)).status == 200
        await fresh.close()
        assert (proxy.requests, len(receiver.requests)) == ([], 1)


async def test_of_a_long_answer_the_beginning_is_kept(outbound: OutboundClient, receiver: Receiver) -> None:
    receiver.answer(body=b"x" * (KEPT_BYTES * 4))
    receiver.answer(body=b"y" * KEPT_BYTES)
    assert (await post(outbound, receiver.url)).body == b"x" * KEPT_BYTES
    assert (await post(outbound, receiver.url)).body == b"y" * KEPT_BYTES


async def test_an_endless_answer_ends(outbound: OutboundClient, talking: Callable[[Talk], Awaitable[str]]) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"z" * 1024 + b"\r\n")
            await writer.drain()

    assert len((await post(outbound, await talking(talk))).body) == KEPT_BYTES


async def test_nothing_is_unpacked(outbound: OutboundClient, receiver: Receiver) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    receiver.answer(body=bomb, headers={"Content-Encoding": "gzip"})
    assert (await post(outbound, receiver.url)).body == bomb[:KEPT_BYTES]


async def test_the_time_limit_is_for_the_whole_call(
    outbound: OutboundClient, talking: Callable[[Talk], Awaitable[str]]
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async def slow_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    async def slow_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def many_interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.01)

    for talk in (silent, slow_head, slow_body, many_interim):
        began = time.monotonic()
        assert await failure(outbound, await talking(talk)) == "timed out"
        assert 0.4 < time.monotonic() - began < 2


async def test_answers_that_are_none(outbound: OutboundClient, talking: Callable[[Talk], Awaitable[str]]) -> None:
    def saying(text: bytes) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(text)
            await writer.drain()

        return talk

    for text in (b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"HTTP/1.1 99\r\n\r\n"):
        assert await failure(outbound, await talking(saying(text))) in BROKEN
    endless_head = b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000
    assert await failure(outbound, await talking(saying(endless_head))) in BROKEN


async def test_nobody_listens(outbound: OutboundClient) -> None:
    assert await failure(outbound, "http://127.0.0.1:1/") == "connection refused"
    assert await failure(outbound, "http://no-such-name.invalid/") == "name not resolved"


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://[::1", "http://a b/", "http://x:99999/", "http://\x00/", "ftp://x/", "x"]
)
async def test_urls_that_are_none(outbound: OutboundClient, url: str) -> None:
    assert await failure(outbound, url) in ("invalid url or header", "name not resolved")


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\x00b"])
async def test_no_header_can_bring_another(outbound: OutboundClient, receiver: Receiver, value: str) -> None:
    with pytest.raises(CallFailed, match="invalid url or header"):
        await outbound.send("POST", receiver.url, {"X-One": value}, b"{}")
    assert receiver.requests == []


async def test_certificates_are_checked(outbound: OutboundClient, talking: Callable[[Talk], Awaitable[str]]) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    url = (await talking(plain)).replace("http:", "https:")
    assert await failure(outbound, url) == "TLS failed"


async def test_a_name_stays_the_name(receiver: Receiver) -> None:
    """The judged address is dialled, but the receiver is asked for by the name of the URL."""

    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    outbound = OutboundClient(HERE, timeout_s=1, resolve=resolve)
    await post(outbound, f"http://shop.example:{receiver.port}/")
    await outbound.close()
    assert receiver.requests[0].headers["host"] == f"shop.example:{receiver.port}"


async def test_tls_asks_for_the_name(talking: Callable[[Talk], Awaitable[str]]) -> None:
    asked: list[str | bytes] = []

    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    class Context(ssl.SSLContext):
        def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
            asked.extend(value for value in (*args, *kwargs.values()) if isinstance(value, (str, bytes)))
            return super().wrap_bio(*args, **kwargs)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)

    port = (await talking(hang_up)).split(":")[2].split("/")[0]
    outbound = OutboundClient(HERE, timeout_s=1, resolve=resolve, tls=Context(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(CallFailed):
        await post(outbound, f"https://shop.example:{port}/")
    await outbound.close()
    assert [bytes(name, "ascii") if isinstance(name, str) else name for name in asked] == [b"shop.example"]


async def test_further_addresses_of_a_name_are_tried(receiver: Receiver) -> None:
    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.9", "10.0.0.1", "127.0.0.1"]

    outbound = OutboundClient(HERE, timeout_s=2, resolve=resolve)
    assert (await post(outbound, f"http://shop.example:{receiver.port}/")).status == 200
    await outbound.close()
