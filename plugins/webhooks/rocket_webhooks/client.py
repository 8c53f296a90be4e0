"""The one way out: every request of Rocket to somebody else's server.

The address is judged when it is about to be dialled, after the name was resolved, and that very address is dialled. So
a name cannot point elsewhere in between, however it answers the second time. Redirects are never followed, the
environment's proxies are ignored, and of an answer no more than a limit is read, without unpacking it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from rocket_webhooks.addresses import AddressGuard, allowed_of

KEPT_BYTES = 64 * 1024
"""At most so much of an answer's body is read."""
_LOOKUPS = 100
_FIRST_DIALS_S = 5.0
"""For an address of a name that has further ones."""
_IDLE_S = 4.0
"""Servers close idle connections; a request on one that is just being closed would count as a failed attempt."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port -> addresses. Raises OSError."""


class CallFailed(Exception):
    """No answer came. The text says why, for people, and holds nothing secret."""


class AddressRefused(CallFailed):
    def __init__(self) -> None:
        super().__init__("address not allowed")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in lower case; of repeated ones the last counts."""
    body: bytes
    """Its beginning, as it came."""


class SystemResolver:
    """The system's resolver on threads of its own: a slow name server must hold up nobody but those who ask it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="rocket-webhooks-resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port)
        return [str(address[4][0]) for address in found]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[Any]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves, judges, and dials what it has judged."""

    def __init__(self, guard: AddressGuard, resolve: Resolve, dialler: httpcore.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._resolve = resolve
        self._dialler = dialler

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise CallFailed("name not resolved") from error
        addresses = allowed_of(self._guard, found)
        if not addresses:
            raise AddressRefused
        for address in addresses[:-1]:
            try:
                return await self._dialler.connect_tcp(address, port, timeout=_FIRST_DIALS_S)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._dialler.connect_tcp(addresses[-1], port, timeout=timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class OutboundClient:
    """Made and closed on one event loop. Any number of tasks may send at once."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        timeout_s: float,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        dialler: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._own_resolver = SystemResolver() if resolve is None else None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or _trusted(),
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=_IDLE_S,
            network_backend=GuardedBackend(guard, resolve or self._own_resolver or _nobody, dialler or _dialler()),
        )

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """One request, from resolving to the last byte that is read within the time limit. Raises CallFailed."""
        request = _request(method, url, headers, body)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            raise CallFailed("timed out") from None
        except CallFailed:
            raise
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise CallFailed(_reason(error)) from error

    async def _exchange(self, request: httpcore.Request) -> Reply:
        response = await self._pool.handle_async_request(request)
        try:
            kept = bytearray()
            async for chunk in response.aiter_stream():
                kept += chunk[: KEPT_BYTES - len(kept)]
                if len(kept) >= KEPT_BYTES:
                    break
        finally:
            await response.aclose()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Reply(response.status, headers, bytes(kept))

    async def close(self) -> None:
        await self._pool.aclose()
        if self._own_resolver is not None:
            self._own_resolver.close()


async def _nobody(_host: str, _port: int) -> Sequence[str]:
    return ()


def _dialler() -> httpcore.AsyncNetworkBackend:
    return httpcore.AnyIOBackend()


def _trusted() -> ssl.SSLContext:
    """Certificate authorities of the library and of the system: firms add their own to the latter."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


def parse_url(text: str) -> httpx.URL:
    """Raises ValueError for what no request can be sent to."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError) as error:
        raise ValueError(str(error) or "invalid url") from error
    if not url.raw_host or url.scheme not in ("http", "https"):
        raise ValueError("a host is missing")
    return url


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> httpcore.Request:
    try:
        parsed = parse_url(url)
        encoded = [(name.encode("ascii"), value.strip().encode("utf-8")) for name, value in headers.items()]
    except ValueError as error:
        raise CallFailed("invalid url or header") from error
    length = [] if body is None else [(b"Content-Length", str(len(body)).encode())]
    target = httpcore.URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path or b"/"
    )
    host = [(b"Host", parsed.netloc)]
    return httpcore.Request(method, target, headers=[*host, *encoded, *length], content=body or b"")


def _reason(error: Exception) -> str:
    """Words of ours: those of the system and of libraries differ from machine to machine."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        cause = cause.__cause__ or cause.__context__
    match error:
        case httpcore.TimeoutException():
            return "timed out"
        case httpcore.ConnectError():
            return "connection failed"
        case httpcore.LocalProtocolError():
            return "invalid url or header"
        case httpcore.RemoteProtocolError():
            return "answer is not HTTP, or broke off"
        case _:
            return "connection broke"
