"""A start that cannot succeed ends with one line and exit code 1, however many workers were asked for."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture(autouse=True)
def configured(tmp_path):
    (tmp_path / "app.yaml").write_text("plugins: {enabled: []}")


def assert_refused(done, message):
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_in_use(run, server_name, workers):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, "--server", server_name, "--workers", workers)
    assert_refused(done, f"cannot listen on 127.0.0.1:{port}: Address already in use")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_host_beyond_loopback_without_an_authentication_plugin(run, host):
    done = run("serve", "--port", "0", "--host", host)
    assert_refused(done, f"without an authentication plugin Rocket listens on loopback only, not on {host}")


@pytest.mark.parametrize(
    ("arguments", "yaml", "message"),
    [
        (("--host", "no-such-host.invalid"), "", "server.host 'no-such-host.invalid' cannot be resolved: "),
        ((), "plugins: {enabled: [nothere]}", "plugin 'nothere': is enabled in the configuration but not installed"),
        ((), "server: {prot: 8}", ""),
        ((), "database: {driver: postgres, port: 1, user: nobody}", "the management database 'rocket' cannot be"),
    ],
)
def test_start_that_cannot_succeed(run, tmp_path, server_name, arguments, yaml, message):
    (tmp_path / "other.yaml").write_text(yaml if "plugins:" in yaml else f"plugins: {{enabled: []}}\n{yaml}")
    common = ("--config", "other.yaml", "--port", "0", "--server", server_name, "--workers", "2")
    assert_refused(run("serve", *common, *arguments), message)
