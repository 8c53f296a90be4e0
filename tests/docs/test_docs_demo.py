"""The commands that `rocket demo` prints are run as they are printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

ROCKET = Path(sys.executable).with_name("rocket")
START_S = 60
BEFORE_THE_TOUR = "with curl 7.82 or later:\n"


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[str]:
    """What is on standard output while the demo runs. Neither app.yaml nor the environment of its folder count."""
    (tmp_path / "app.yaml").write_text("server: {host: 0.0.0.0, port: 1}\n")
    environment = {**os.environ, "ROCKET_DATABASE__DRIVER": "postgres", "TMPDIR": str(tmp_path)}
    output, log = tmp_path / "printed.txt", tmp_path / "demo.log"
    with output.open("w") as out, log.open("w") as err:
        command = [ROCKET, "demo", "--port", "0"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=err)
    try:
        end = time.monotonic() + START_S
        while not (text := output.read_text()).endswith("\n\n") or not is_healthy(text):
            if time.monotonic() > end or process.poll() is not None:
                pytest.fail(f"the demo did not start: {log.read_text()}")
            time.sleep(0.1)
        yield text
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert not list(tmp_path.glob("rocket-demo-*"))


def is_healthy(text: str) -> bool:
    host, _, port = text.partition("http://")[2].partition("/")[0].partition(":")
    assert host == "127.0.0.1"
    connection = HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_demo_can_be_tried_as_printed(printed, path_with_curl, tmp_path):
    commands = printed.partition(BEFORE_THE_TOUR)[2]
    environment = {**os.environ, "PATH": path_with_curl, "CURL_HOME": str(tmp_path)}
    (tmp_path / ".curlrc").write_text('noproxy = "*"\n')
    done = subprocess.run(
        ["sh", "-eu"], input=commands, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    tickets, subject, solved, opened, moves, requested, pending, approved, refunded, explained = answers
    assert [ticket["id"] for ticket in tickets["data"]] == [1, 3]
    assert [detail["rule"] for detail in subject["error"]["details"]] == ["min_length"]
    assert [detail["rule"] for detail in solved["error"]["details"]] == ["state_machine"]
    assert opened["data"]["status"] == "open"
    assert {move["to"] for move in moves["data"]} == {"requested", "waiting", "solved"}
    assert requested["data"]["refund_status"] == "requested"
    assert [instance["current_step"] for instance in pending["data"]] == ["ask"]
    assert approved["data"]["history"][-1]["comment"] == "Our fault"
    assert refunded["data"]["refund_status"] == "approved"
    assert explained["data"]["would"] == "update"
