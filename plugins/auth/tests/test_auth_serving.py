"""`rocket serve` beyond loopback, with real processes (contract §10.3)."""

from __future__ import annotations

import sys
import time

import httpx
import pytest

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.testing.processes import START_S, ServerProcess

QUICK = "import rocket_auth; rocket_auth.AuthPlugin.hash_cost = 4; from rocket_kernel.cli import main; main()"


@pytest.fixture
def server(rocket_environment, tmp_path) -> ServerProcess:
    place = DatabaseConfig(data_dir=tmp_path / "data", synchronous="off")
    command = (sys.executable, "-c", QUICK)
    return ServerProcess(tmp_path, place, config={"plugins.enabled": ["auth"]}, command=command)


def test_a_server_with_default_passwords_stays_on_loopback(server):
    done = server.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 1
    refusal = "Error: cannot listen on 0.0.0.0:"
    accounts = "while these accounts have the default password: platform@localhost (platform). Change it with"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(refusal)]
    assert accounts in line

    port = str(server.port)
    running = server.begin("serve", "--host", "0.0.0.0", "--port", port, "--allow-default-passwords")
    try:
        assert answers(f"http://127.0.0.1:{port}/health")
        assert f"http://0.0.0.0:{port}" in server.log
    finally:
        running.terminate()
        assert running.wait(60) == 0


def answers(url: str) -> bool:
    """Whether the server is there within the usual time."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            return httpx.get(url, trust_env=False).status_code == 200
        except httpx.TransportError:
            time.sleep(0.05)
    return False
