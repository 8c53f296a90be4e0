"""Real servers: processes of `rocket serve`, which can be killed at any instant and started again on the same data.

    with ServerProcess(tmp_path, database.config(), workers=2) as server:
        async with server.caller("shop") as shop:
            await shop.post("book", {"title": "Emma"})
        server.kill()
        server.start()

Such a server listens on 127.0.0.1 only and knows nothing of the developer's own configuration.
"""

from __future__ import annotations

import asyncio
import json as json_module
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from werkzeug.datastructures import Headers

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.config_sources import nest, overlay
from rocket_kernel.plugins import Plugin
from rocket_kernel.testing.announced import announced
from rocket_kernel.testing.client import Answer

HOST = "127.0.0.1"
ROCKET = (sys.executable, "-c", "from rocket_kernel.cli import main; main()")
START_S = 30.0
STOP_S = 40.0
GONE_S = 10.0
ANSWER_S = 60.0

# Below the ports that systems hand out by themselves: those might be taken while a server is down.
_PORTS = range(15000, 32000)
_TRIES = 100
_PAUSE_S = 0.02
_LOG_SHOWN = 4000
_IDLE_S = 1.0
_NOTHING = object()
_ENDS = b"\r\n\r\n"


class ServerFailed(AssertionError):
    """The server did not start, or not in time; the text ends with its log."""


class Lost(Exception):
    """The connection broke before the answer was complete: nobody knows whether the request was carried out."""


class NotSent(Lost):
    """No connection could be made, so the request was certainly not carried out."""


class ServerProcess:
    """A server on a port that it keeps over restarts. In `with` it starts; what still runs at the end is killed.

    `folder` is where it works and writes its log. `config` has dotted keys (`{"app_pool_size": 3}`), `environ` are
    further variables of its environment. The plugins that take part are `plugins`, installed or not, or what
    `plugins.enabled` says; without either none does. Two servers with the same `database` serve the same apps. `command` stands for `rocket`, for tests that change something in the process
    before it runs.
    """

    def __init__(
        self,
        folder: Path,
        database: DatabaseConfig,
        *,
        workers: int = 1,
        server: str = "auto",
        config: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        plugins: Sequence[type[Plugin]] = (),
        command: Sequence[str] = ROCKET,
    ) -> None:
        self.folder = folder
        self._rocket = tuple(command)
        self.port = free_port()
        self.workers = workers
        self.server = server
        self.log_file = folder / f"rocket-{self.port}.log"
        self._config_file = folder / f"rocket-{self.port}.yaml"
        self._environ = {**_environment(), **announced(folder, plugins), **(environ or {})}
        if database.password is not None:
            self._environ["ROCKET_DATABASE__PASSWORD"] = database.password.reveal()
        folder.mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        enabled = {"plugins.enabled": [plugin.name for plugin in plugins]} if plugins else {}
        self._config_file.write_text(json_module.dumps(_configuration(database, {**enabled, **(config or {})})))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that was started; workers are its children, in its process group."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What all starts so far have written to standard error."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self, *, workers: int | None = None, server: str | None = None, limit_s: float = START_S) -> float:
        """Seconds until the first answer. `workers` and `server` replace what was said before.

        Raises ServerFailed.
        """
        if self.is_running:
            raise RuntimeError("the server is running")
        self.workers = workers or self.workers
        self.server = server or self.server
        began = time.monotonic()
        arguments = ["serve", "--port", str(self.port), "--workers", str(self.workers), "--server", self.server]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                self._command(*arguments),
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._await_answer(began + limit_s)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL to all processes of the server at once; they are gone on return. Doing it twice does no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        _await_end_of_all(process)

    def stop(self, *, limit_s: float = STOP_S) -> int:
        """SIGTERM, which lets running requests finish; the exit code. Raises subprocess.TimeoutExpired."""
        process = self._running()
        process.terminate()
        code = process.wait(limit_s)
        _await_end_of_all(process)
        self._process = None
        return code

    def run(self, *arguments: str, limit_s: float = START_S) -> subprocess.CompletedProcess[str]:
        """Another command on the server's databases, such as `import`. Raises subprocess.TimeoutExpired."""
        return subprocess.run(  # noqa: S603  # our own command
            self._command(*arguments),
            check=False,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Another command on the server's databases that the caller waits for, or kills. It writes to the log."""
        with self.log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own command
                self._command(*arguments),
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def caller(self, app: str | None = None) -> Caller:
        """A client with one connection of its own, bound to an app or to none."""
        return Caller(self.port, app)

    def _command(self, *arguments: str) -> Sequence[str]:
        return [*self._rocket, *arguments, "--config", str(self._config_file)]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _await_answer(self, deadline: float) -> None:
        while time.monotonic() < deadline and self.is_running:
            if _answers(self.port):
                return
            time.sleep(_PAUSE_S)
        self.kill()
        raise ServerFailed(f"the server did not start; its log ends with\n{self.log[-_LOG_SHOWN:]}")


class Caller:
    """Sends requests one after another over one connection, which it opens again when it broke or has been idle.

    Paths that begin with a slash are absolute, others belong to the app. Every method raises Lost, and TimeoutError
    when no answer has come after `answer_s`.
    """

    def __init__(self, port: int, app: str | None = None, *, answer_s: float = ANSWER_S) -> None:
        self.app = app
        self._port = port
        self._answer_s = answer_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def connect(self) -> None:
        """Open the connection now, so that the next request is under way at once."""
        self.close()
        try:
            async with asyncio.timeout(self._answer_s):
                self._streams = await asyncio.open_connection(HOST, self._port)
        except OSError as error:
            raise NotSent from error
        self._used_at = time.monotonic()

    def close(self) -> None:
        """Hang up, even in the middle of a request."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def get(self, path: str, **headers: str) -> Answer:
        """`headers` have underscores for hyphens: `if_match`."""
        return await self.request("GET", path, **headers)

    async def post(self, path: str, json: object = _NOTHING, **headers: str) -> Answer:
        return await self.request("POST", path, json, **headers)

    async def put(self, path: str, json: object = _NOTHING, **headers: str) -> Answer:
        return await self.request("PUT", path, json, **headers)

    async def delete(self, path: str, **headers: str) -> Answer:
        return await self.request("DELETE", path, **headers)

    async def request(self, method: str, path: str, json: object = _NOTHING, **headers: str) -> Answer:
        """The answer, whatever its status."""
        if self._streams is None or time.monotonic() - self._used_at > _IDLE_S:
            await self.connect()
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._exchange(method, path, self._encoded(method, path, json, headers))
        except (OSError, EOFError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise
            raise Lost from error
        except BaseException:
            self.close()
            raise

    async def _exchange(self, method: str, path: str, request: bytes) -> Answer:
        if self._streams is None:
            raise NotSent
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        first, *lines = (await reader.readuntil(_ENDS)).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        headers = Headers([line.partition(": ")[::2] for line in lines])
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        self._used_at = time.monotonic()
        if headers.get("Connection", "").lower() == "close":
            self.close()
        return Answer(method, path, int(first.split()[1]), headers, body)

    def _encoded(self, method: str, path: str, json: object, headers: Mapping[str, str]) -> bytes:
        target = path if path.startswith("/") else f"/api/{self.app}/{path}"
        body = b"" if json is _NOTHING else json_module.dumps(json).encode()
        lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}:{self._port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if json is not _NOTHING:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode("latin-1") + _ENDS + body


def free_port() -> int:
    """A port that nobody listens on now, and that the system gives to nobody by itself."""
    for port in random.sample(_PORTS, _TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise RuntimeError("no free port")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}


def _configuration(database: DatabaseConfig, changes: Mapping[str, Any]) -> Mapping[str, object]:
    place = {
        "driver": database.driver,
        "data_dir": str(database.data_dir.absolute()),
        "host": database.host,
        "port": database.port,
        "name": database.name,
        "pool_size": database.pool_size,
        "synchronous": database.synchronous,
    }
    if database.user is not None:
        place["user"] = database.user
    tree: Mapping[str, object] = {"server": {"host": HOST}, "database": place, "plugins": {"enabled": []}}
    for key, value in changes.items():
        tree = overlay(tree, nest(key.split("."), value))
    return tree


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return connection.recv(100).startswith(b"HTTP/1.1 200")
    return False


def _await_end_of_all(process: subprocess.Popen[bytes]) -> None:
    """Until no process of the server is left: each has inherited the standard output."""
    if process.stdout is None:
        return
    deadline = time.monotonic() + GONE_S
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while selector.select(max(deadline - time.monotonic(), 0.0)):
            if not os.read(output.fileno(), _LOG_SHOWN):
                return
    raise AssertionError(f"processes of the server are still there {GONE_S:.0f} s after its end")
