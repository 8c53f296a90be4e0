"""Real servers: how much memory a large file takes, who waits for it, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.testing.processes import ServerProcess

MB = 1_000_000
TRAFFIC = Path(__file__).with_name("files_traffic.py")
SERVERS = ["hypercorn", "granian"]
MOST_DELAY_S = 0.1
TRIES = 3
"""Another process may take the machine for a moment; a server that is kept busy is so every time."""


LIMIT = 50 * MB


@contextmanager
def running(folder, database, server="auto", **config):
    """A server with the plugin and the app `shop`."""
    settings = {
        "plugins.enabled": ["files"],
        "storage.local_path": str(folder / "uploads"),
        "storage.max_file_size": LIMIT,
        **config,
    }
    with ServerProcess(folder / "server", database, server=server, config=settings) as process:
        with httpx.Client(trust_env=False) as client:
            client.post(f"{process.url}/api/_platform/apps", json={"name": "shop"}).raise_for_status()
        yield process


def embedded(folder):
    """What has nothing to do with the database is tried on one of them."""
    return DatabaseConfig(data_dir=folder / "data")


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory):
    """One server for all tests that leave it as it is."""
    folder = tmp_path_factory.mktemp(request.param)
    with running(folder, embedded(folder), request.param) as process:
        warm_up(process)
        yield process


class Memory:
    """What all processes of a server take."""

    def __init__(self, server):
        parent = psutil.Process(server.pid)
        self._processes = [parent, *parent.children(recursive=True)]
        self.before = self.now()
        self.most = self.before

    def now(self):
        return sum(process.memory_info().rss for process in self._processes)

    def look(self):
        self.most = max(self.most, self.now())

    @property
    def growth(self):
        return self.most - self.before


async def traffic(server, memory, direction, count, what):
    """Let a process of its own send or fetch files; what it prints, and the longest a small request took meanwhile."""
    command = [sys.executable, str(TRAFFIC), str(server.port), direction, str(count), str(what)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    ended = asyncio.create_task(process.communicate())
    slowest = 0.0
    async with server.caller("shop") as caller:
        while not ended.done():
            began = time.perf_counter()
            assert (await caller.get("/api/shop/_files/url")).status == 404
            slowest = max(slowest, time.perf_counter() - began)
            memory.look()
            await asyncio.sleep(0.01)
    output, _ = await ended
    assert process.returncode == 0
    return output.decode().split(), slowest


def warm_up(server):
    """What a server loads with its first file is not what a file costs."""
    command = [sys.executable, str(TRAFFIC), str(server.port), "up", "1", str(MB)]
    url = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*command[:3], "down", "1", url], check=True, capture_output=True)


async def send_and_fetch(server, size, *, at_most):
    memory = Memory(server)
    (url,), _ = await traffic(server, memory, "up", 1, size)
    sent = memory.growth
    assert sent < at_most
    (received,), _ = await traffic(server, memory, "down", 1, url)
    assert int(received) == size
    assert memory.growth < at_most
    return sent, memory.growth


async def test_a_large_file_takes_little_memory(server):
    await send_and_fetch(server, 40 * MB, at_most=16 * MB)


async def test_a_slow_reader_takes_little_memory(server):
    memory = Memory(server)
    (url,), _ = await traffic(server, memory, "up", 1, 40 * MB)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(20):
            assert connection.recv(1000)
            memory.look()
            await asyncio.sleep(0.02)
    assert memory.growth < 16 * MB


async def test_a_large_file_takes_little_memory_on_s3(tmp_path, bucket):
    with running(tmp_path, embedded(tmp_path), **bucket.config) as server:
        warm_up(server)
        # Two parts of five megabytes are on their way while a third one fills.
        await send_and_fetch(server, 40 * MB, at_most=32 * MB)


@pytest.mark.torture
@pytest.mark.parametrize("server_name", SERVERS)
async def test_half_a_gigabyte_takes_little_memory(tmp_path, server_name):
    with running(tmp_path, embedded(tmp_path), server_name, **{"storage.max_file_size": 600 * MB}) as server:
        warm_up(server)
        await send_and_fetch(server, 500 * MB, at_most=32 * MB)


@pytest.mark.torture
@pytest.mark.parametrize("server_name", SERVERS)
async def test_ten_at_once_delay_nobody(tmp_path, server_name):
    with running(tmp_path, embedded(tmp_path), server_name, **{"storage.max_file_size": 200 * MB}) as server:
        warm_up(server)
        memory = Memory(server)
        delays = []
        while not delays or (min(delays) >= MOST_DELAY_S and len(delays) < TRIES):
            urls, slowest_up = await traffic(server, memory, "up", 10, 100 * MB)
            received, slowest_down = await traffic(server, memory, "down", 10, urls[0])
            assert [int(count) for count in received] == [100 * MB] * 10
            delays.append(max(slowest_up, slowest_down))
        assert min(delays) < MOST_DELAY_S
        assert memory.growth < 64 * MB


def begin_upload(server, content):
    """An upload that has come so far, and no further."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    connection.sendall(
        b"POST /api/shop/_files/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 9000000\r\n\r\n" + head + content
    )
    return connection


def wait_until(condition, limit_s=10.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def listed(server):
    with httpx.Client(trust_env=False) as client:
        return client.get(f"{server.url}/api/shop/_files").json()["data"]


def try_to_kill(server, uploads):
    with begin_upload(server, b"x" * 3 * MB):
        wait_until(lambda: sum(path.stat().st_size for path in files_in(uploads)) >= 2 * MB)
        server.kill()
    (left,) = files_in(uploads)
    assert left.name.endswith(".part")
    server.start()
    assert listed(server) == []
    with httpx.Client(trust_env=False) as client:
        for name in (left.name, left.stem):
            assert client.get(f"{server.url}/api/shop/_files/{name}").status_code == 404


def test_a_killed_upload_leaves_neither_row_nor_blob(tmp_path, database):
    with running(tmp_path, database.config()) as server:
        try_to_kill(server, tmp_path / "uploads")


def test_a_killed_upload_on_the_other_server(tmp_path):
    with running(tmp_path, embedded(tmp_path), "hypercorn") as server:
        try_to_kill(server, tmp_path / "uploads")


def test_a_killed_upload_to_s3_leaves_neither_row_nor_blob(tmp_path, bucket):
    with running(tmp_path, embedded(tmp_path), **bucket.config) as server:
        with begin_upload(server, b"x" * 8 * MB):
            wait_until(bucket.unfinished)
            server.kill()
        server.start()
        assert (listed(server), bucket.names()) == ([], [])


def test_a_client_that_hangs_up_leaves_nothing(server):
    uploads, before = server.folder.parent / "uploads", len(listed(server))
    with begin_upload(server, b"x" * 3 * MB):
        wait_until(lambda: any(path.suffix == ".part" for path in files_in(uploads)))
    wait_until(lambda: not any(path.suffix == ".part" for path in files_in(uploads)))
    assert len(listed(server)) == len(files_in(uploads)) == before


def test_refused_and_abandoned_uploads_hold_up_nothing(tmp_path):
    """Hypercorn waits without end for an application that does not take what it has read."""
    with running(tmp_path, embedded(tmp_path), "hypercorn", **{"storage.max_file_size": MB}) as server:
        for _ in range(3):
            with begin_upload(server, b"x" * 3 * MB) as connection:
                connection.settimeout(20)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass
            begin_upload(server, b"x" * MB).close()
        assert server.stop(limit_s=10) == 0
        assert "Traceback" not in server.log


LINE = b"a" * 15 * MB
START = b"--b\r\n"
HOSTILE = {
    "a part header of 15 MB": (START + b'Content-Disposition: form-data; name="' + LINE, 400),
    "15 MB of header lines": (START + b"a:b\r\n" * (3 * MB), 400),
    "10,000 parts": (
        (START + b'Content-Disposition: form-data; name="public"\r\n\r\ntrue\r\n') * 10_000 + b"--b--",
        400,
    ),
    "a wrong boundary": (b"--c\r\n" + LINE, 400),
    "no end": (START + b'Content-Disposition: form-data; name="file"\r\n\r\n' + LINE[: 3 * MB], 400),
    "too large": (START + b'Content-Disposition: form-data; name="file"\r\n\r\n' + LINE * 4 + b"\r\n--b--", 413),
}


async def test_hostile_uploads_delay_nobody(server, tmp_path):
    before, memory = listed(server), Memory(server)
    for what, (body, status) in HOSTILE.items():
        path = tmp_path / "body"
        path.write_bytes(body)
        delays = []
        while not delays or (min(delays) >= MOST_DELAY_S and len(delays) < TRIES):
            statuses, slowest = await traffic(server, memory, "send", 1, path)
            assert statuses == [str(status)], what
            delays.append(slowest)
        assert min(delays) < MOST_DELAY_S, what
    assert memory.growth < 16 * MB
    assert listed(server) == before


async def test_a_refused_sender_hears_why(server):
    """An answer that comes before the end of the body must not be lost with the connection."""
    for body, status in HOSTILE.values():
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(
                b"POST /api/shop/_files/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            connection.sendall(body)
            assert connection.recv(100).startswith(b"HTTP/1.1 %d " % status)
