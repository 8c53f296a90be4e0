"""A server that is told to stop finishes what it has begun and begins nothing else."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

STOPS_S = 30
"""A worker that does not is killed after 35."""
BODY = b'{"name": "shop"}'
HEAD = (
    b"POST /api/_platform/apps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY)
)


def await_refusal(server) -> None:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        try:
            server.connect().close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    pytest.fail("the server still takes connections")


def await_workers(server, workers: int) -> None:
    """Until each of them listens: the first answer says nothing about the others."""
    parent = psutil.Process(server.process.pid)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        children = parent.children() or [parent]
        if len(children) >= workers and all(map(listens, children)):
            return
        time.sleep(0.02)
    pytest.fail("not all workers listen")


def listens(process: psutil.Process) -> bool:
    return any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to", [os.kill, os.killpg], ids=["the server", "every process"])
def test_request_under_way_is_answered_while_new_ones_are_refused(serve, server_name, workers, sent, to):
    server = serve("--server", server_name, "--workers", str(workers))
    await_workers(server, workers)
    with server.connect() as under_way, server.connect() as idle:
        under_way.sendall(HEAD + BODY[:5])
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in idle.recv(1000)
        to(server.process.pid, sent)
        await_refusal(server)
        to(server.process.pid, sent)
        assert server.process.poll() is None
        under_way.sendall(BODY[5:])
        answer = server.rest_of(under_way)
    assert answer.startswith(b"HTTP/1.1 201")
    code, errors = server.ended()
    assert code == 0
    assert "Traceback" not in errors
    assert "Error" not in errors


def test_idle_server_stops_at_once(serve, server_name):
    server = serve("--server", server_name)
    begun = time.monotonic()
    server.process.terminate()
    assert server.ended()[0] == 0
    assert time.monotonic() - begun < 5


def test_interrupt_of_a_terminal_reaches_every_process_and_does_no_harm(serve, server_name):
    for _ in range(3):
        server = serve("--server", server_name, "--workers", "2")
        begun = time.monotonic()
        os.killpg(server.process.pid, signal.SIGINT)
        code, errors = server.ended()
        assert code == 0
        assert "Traceback" not in errors
        assert time.monotonic() - begun < STOPS_S


def test_workers_that_still_start_stop_too(serve, server_name):
    server = serve("--server", server_name, "--workers", "6")
    begun = time.monotonic()
    server.process.terminate()
    assert server.ended()[0] == 0
    assert time.monotonic() - begun < STOPS_S


@pytest.mark.torture
def test_killed_worker_is_replaced(serve, server_name):
    server = serve("--server", server_name, "--workers", "2")
    time.sleep(6)  # a worker that dies sooner stops the server
    parent = psutil.Process(server.process.pid)
    victim = parent.children()[0]
    victim.kill()
    end = time.monotonic() + 15
    while len(alive(parent.children())) < 2 or victim.is_running():
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)
    assert {server.request("GET", "/health")[0].status for _ in range(20)} == {200}


@pytest.mark.torture
@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_do_not_outlive_a_killed_parent(serve, server_name, workers):
    server = serve("--server", server_name, "--workers", workers)
    children = psutil.Process(server.process.pid).children()
    server.process.kill()
    await_refusal(server)
    psutil.wait_procs(children, timeout=10)
    assert alive(children) == []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
