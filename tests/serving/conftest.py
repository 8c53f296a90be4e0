"""Real servers: processes of `rocket serve` on a free port of this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SERVERS = ["hypercorn", "granian"]
ROCKET = [sys.executable, "-c", "from rocket_kernel.cli import main; main()"]
START_S = 30
STOP_S = 40


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(slots=True)
class ServerProcess:
    process: subprocess.Popen[str]
    port: int
    folder: Path
    """Where it works; its data are in `data`."""

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def raw(self, text: bytes) -> bytes:
        """The answer to bytes that no client library would send."""
        with self.connect() as connection:
            connection.sendall(text)
            return self.rest_of(connection)

    @staticmethod
    def rest_of(connection: socket.socket) -> bytes:
        """All that comes until the server closes the connection."""
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the server's databases."""
        return run_in(self.folder, *arguments, "--data-dir", "data")

    def ended(self) -> tuple[int, str]:
        """Exit code and standard error, once the process has ended."""
        _, errors = self.process.communicate(timeout=STOP_S)
        return self.process.returncode, errors


Serve = Callable[..., ServerProcess]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}


@contextmanager
def servers_in(folder: Path) -> Iterator[Serve]:
    """Starts `rocket serve` and waits for its first answer. Processes and their workers end with the block."""
    (folder / "app.yaml").write_text("plugins: {enabled: []}\ndatabase: {synchronous: 'off'}")
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> ServerProcess:
        port = free_port()
        command = [*ROCKET, "serve", "--port", str(port), "--data-dir", "data", *arguments]
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        await_answer(process, port)
        return ServerProcess(process, port, folder)

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.communicate(timeout=STOP_S)


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [*ROCKET, *arguments],
        check=False,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=START_S,
    )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with servers_in(tmp_path) as start:
        yield start


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    return partial(run_in, tmp_path)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests of a module."""
    require_installed(request.param)
    with servers_in(tmp_path_factory.mktemp("server")) as start:
        yield start("--server", request.param)


@pytest.fixture(params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    require_installed(request.param)
    return str(request.param)


def require_installed(server: str) -> None:
    if find_spec(server) is None:
        pytest.skip(f"{server} is not installed")


def await_answer(process: subprocess.Popen[str], port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    process.kill()
    pytest.fail(f"the server did not start: {process.communicate()[1]}")
