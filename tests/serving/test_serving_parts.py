"""Addresses, the choice of a server, what workers are told, and what is asked before they start."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import threading
import time

import pytest

from rocket_kernel import Config, Plugin, hookimpl, make_kernel
from rocket_kernel.config import DatabaseConfig, ServerConfig
from rocket_kernel.errors import StartupError
from rocket_kernel.secret import Secret
from rocket_kernel.serving import servers, workers
from rocket_kernel.serving.address import Address, claim, resolve
from rocket_kernel.serving.application import require_safe_address
from rocket_kernel.serving.banner import banner
from rocket_kernel.serving.options import ServeOptions
from rocket_kernel.serving.servers import choose_server


class Doorman(Plugin):
    name = "doorman"
    version = "1.2"

    @hookimpl
    async def authenticate(self, request):
        return None


@pytest.mark.parametrize(
    ("host", "ip", "loopback"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("localhost", "127.0.0.1", True),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("0.0.0.0", "0.0.0.0", False),
        ("::", "::", False),
        ("192.0.2.7", "192.0.2.7", False),
    ],
)
def test_host_is_resolved_and_judged(host, ip, loopback):
    address = resolve(host, 80)
    assert (address.ip, address.is_loopback) == (ip, loopback)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "two words"])
def test_host_that_is_none(host):
    with pytest.raises(StartupError, match=r"server\.host .* cannot be resolved"):
        resolve(host, 80)


def test_address_is_printed_as_in_a_link():
    assert (str(Address("127.0.0.1", 80)), str(Address("::1", 80))) == ("127.0.0.1:80", "[::1]:80")


def test_port_zero_takes_a_free_one():
    bound, address = claim(Address("127.0.0.1", 0))
    with bound:
        assert address.port == bound.getsockname()[1] > 0


def test_address_of_another_machine_cannot_be_claimed():
    with pytest.raises(StartupError, match=r"cannot listen on 192\.0\.2\.7:0: "):
        claim(Address("192.0.2.7", 0))


def test_auto_prefers_the_fastest_server_that_is_installed(monkeypatch):
    monkeypatch.setattr(servers, "find_spec", lambda name: name)
    assert choose_server("auto").name == "granian"
    assert choose_server("hypercorn").name == "hypercorn"
    monkeypatch.setattr(servers, "find_spec", lambda name: name if name == "hypercorn" else None)
    assert choose_server("auto").name == "hypercorn"
    with pytest.raises(StartupError, match="the server granian is not installed"):
        choose_server("granian")


def test_options_reach_other_processes():
    config = Config(database=DatabaseConfig(password=Secret("p")), server=ServerConfig(workers=3))
    options = ServeOptions(config, allow_default_passwords=True)
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(("plugins", "ip"), [([], "127.0.0.1"), ([Doorman], "127.0.0.1"), ([Doorman], "0.0.0.0")])
def test_who_may_listen_where(plugins, ip):
    require_safe_address(make_kernel(Config(), plugins=plugins), Address(ip, 80))


def test_open_house_is_not_for_the_world():
    with pytest.raises(StartupError, match="listens on loopback only"):
        require_safe_address(make_kernel(Config(), plugins=[]), Address("192.0.2.7", 80))


def test_banner_with_authentication_and_a_database_server():
    config = Config(database=DatabaseConfig(driver="postgres", host="db", name="shops", user="u"))
    kernel = make_kernel(config, plugins=[Doorman])
    assert banner(kernel, Address("0.0.0.0", 80), version="1", server="granian 2").splitlines() == [
        "Rocket 1",
        "  address   http://0.0.0.0:80",
        "  database  postgres, shops on db:5432",
        "  plugins   doorman 1.2",
        "  workers   1",
        "  server    granian 2",
    ]


def end_soon(code: int) -> None:
    raise SystemExit(code)


def test_worker_that_ends_at_once_stops_the_server_instead_of_being_replaced(restored_signals):
    released = []
    begun = time.monotonic()
    with pytest.raises(StartupError, match="a worker ended with exit code 3 right after its start"):
        workers.keep_running(end_soon, (3,), workers=2, release=lambda: released.append(True))
    assert released == [True]
    assert time.monotonic() - begun < workers.SHORTEST_LIFE_S


def test_a_signal_that_ends_the_workers_first_is_a_stop_all_the_same(restored_signals, monkeypatch):
    """That of a terminal goes to every process, and a worker may be quicker."""
    monkeypatch.setattr(workers, "HEARING_S", 10)
    heard = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    heard.start()
    begun, released = time.monotonic(), []
    workers.keep_running(end_soon, (0,), workers=2, release=lambda: released.append(True))
    assert released == [True]
    assert time.monotonic() - begun < 10
    heard.join()


@pytest.fixture
def restored_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_claimed_port_is_not_listening_yet():
    bound, address = claim(Address("127.0.0.1", 0))
    with bound, pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.ip, address.port))
