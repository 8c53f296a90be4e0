"""What the pages of the documentation are checked with: their blocks, and a server process that answers their commands.

A command is a fenced block with the info string `sh tour`. Behind it may stand a block `json 201`: the status and the
body that the command must be answered with; without one the command must succeed. In a shown body the text "…" stands
for any value, in a list for any number of items, and times and UUIDs are compared by form only. The access token of an
answer is kept in the variable `AUTH`, as the pages tell the reader to do.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ADDRESS = "localhost:8080"
"""Where the pages say that the server is."""

ANYTHING = "…"
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_ACCESS_TOKEN = re.compile(r'"access_token":"([^"]+)"')
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_START_S = 30
_OLDEST_CURL = (7, 82)
"""The first with `--json`."""

_ROCKET = Path(sys.executable).with_name("rocket")
_SERVING = re.compile(r"^  address +http://(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    info: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command of a page with the answer that is shown for it, if there is one."""

    where: str
    command: str
    status: int | None
    body: Any


@dataclass(frozen=True, slots=True)
class Page:
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self, info: str = "") -> list[Block]:
        """Those whose info string begins with `info`, in order."""
        text = self.text
        return [
            Block(found["info"].strip(), found["text"], text.count("\n", 0, found.start()) + 1)
            for found in _FENCE.finditer(text)
            if found["info"].startswith(info)
        ]

    def section(self, heading: str) -> str:
        """The text between a heading and the next one of its level or above."""
        level = heading.partition(" ")[0]
        found = re.search(rf"^{re.escape(heading)}$(?P<text>.*?)(?=^#{{1,{len(level)}}} |\Z)", self.text, re.M | re.S)
        assert found is not None, f"{self.path.name} has no heading {heading!r}"
        return found["text"]

    def tables(self, heading: str) -> list[list[list[str]]]:
        """The rows of each table under a heading, without their heads; cells as they are written."""
        runs = re.findall(r"(?:^\|.*\n)+", self.section(heading), re.MULTILINE)
        return [[_cells(line) for line in run.splitlines()[2:]] for run in runs]

    def table(self, heading: str) -> list[list[str]]:
        """The first of them."""
        return self.tables(heading)[0]

    def exchanges(self) -> list[Exchange]:
        found: list[Exchange] = []
        blocks = self.blocks()
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            if block.info != "sh tour":
                continue
            status = body = None
            if following is not None and (shown := re.fullmatch(r"json (\d{3})", following.info)):
                status, body = int(shown[1]), json.loads(following.text)
            found.append(Exchange(f"{self.path.name}:{block.line}", block.text, status, body))
        return found


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A real server with nothing in it yet."""

    address: str
    folder: Path
    variables: dict[str, str]
    """What a person who types along has kept of the answers."""

    def check(self, exchange: Exchange) -> None:
        """Run the command; the answer must be the one that is shown, with the same members in the same order."""
        command = exchange.command.replace(ADDRESS, self.address)
        # curl reads `.curlrc` from CURL_HOME; what it adds is the status behind the body.
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = {**os.environ, **self.variables, "CURL_HOME": str(self.folder), "PATH": path}
        done = subprocess.run(
            ["sh", "-euc", command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{exchange.where}: {done.stderr}"
        text, _, status = done.stdout.rstrip("\n").rpartition("\n")
        if (token := _ACCESS_TOKEN.search(text)) is not None:
            self.variables["AUTH"] = f"Authorization: Bearer {token[1]}"
        if exchange.status is None:
            assert status.startswith("2"), f"{exchange.where}: {done.stdout}"
            return
        assert int(status) == exchange.status, f"{exchange.where}: {done.stdout}"
        found = differences(exchange.body, json.loads(text))
        assert not found, "\n".join([f"{exchange.where}: the answer is not the one shown", *found, text])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def differences(shown: Any, real: Any, at: str = "$") -> list[str]:
    """Where a real answer is not what the page shows; in words."""
    if shown == ANYTHING:
        return []
    if isinstance(shown, dict) and isinstance(real, dict):
        if list(shown) != list(real):
            return [f"{at}: members {list(shown)} are shown, {list(real)} came"]
        return [found for name in shown for found in differences(shown[name], real[name], f"{at}.{name}")]
    if isinstance(shown, list) and isinstance(real, list):
        if ANYTHING in shown:
            return _missing_runs(shown, real, at)
        if len(shown) != len(real):
            return [f"{at}: {len(shown)} items are shown, {len(real)} came"]
        pairs = enumerate(zip(shown, real, strict=True))
        return [found for number, (one, other) in pairs for found in differences(one, other, f"{at}[{number}]")]
    same = type(shown) is type(real) and (shown == real or _of_one_form(shown, real))
    return [] if same else [f"{at}: {shown!r} is shown, {real!r} came"]


def _missing_runs(shown: list[Any], real: list[Any], at: str) -> list[str]:
    """In a list "…" stands for any number of items: those between must come in this order, each run without a gap."""
    position = 0
    runs = [list(run) for is_gap, run in itertools.groupby(shown, lambda item: item == ANYTHING) if not is_gap]
    for run in runs:
        places = range(position, len(real) - len(run) + 1)
        place = next((place for place in places if not differences(run, real[place : place + len(run)])), None)
        if place is None:
            return [f"{at}: nothing like {run} from item {position} on"]
        position = place + len(run)
    return []


def _of_one_form(shown: Any, real: Any) -> bool:
    if not isinstance(shown, str):
        return False
    return any(form.fullmatch(shown) and form.fullmatch(real) for form in (_TIME, _UUID))


@pytest.fixture(scope="session")
def page() -> Callable[[str], Page]:
    """A page of the documentation by its path in the repository."""
    return lambda path: Page(ROOT / path)


@pytest.fixture
def path_with_curl(tmp_path: Path) -> str:
    """A PATH on which curl is found, or what stands in for it."""
    _provide_curl(tmp_path / "bin")
    return f"{tmp_path / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


@pytest.fixture
def server_process(tmp_path: Path) -> Iterator[ServerProcess]:
    """`rocket serve` with every plugin that is installed, as `make serve` starts it."""
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\nwrite-out = "\\n%{http_code}\\n"\n')
    _provide_curl(tmp_path / "bin")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
    log = tmp_path / "server.log"
    with log.open("w") as output:
        command = [_ROCKET, "serve", "--port", "0"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        yield ServerProcess(_address(process, log), tmp_path, {})
    finally:
        process.terminate()
        process.wait(timeout=60)


def _provide_curl(folder: Path) -> None:
    """Nothing but Python, make and git is asked of a machine; where curl is absent or old, a stand-in takes its place."""
    folder.mkdir()
    found = shutil.which("curl")
    if found is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        if tuple(int(part) for part in version.split(".")[:2]) >= _OLDEST_CURL:
            return
    stand_in = Path(__file__).with_name("curl_stand_in.py")
    script = folder / "curl"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{stand_in}" "$@"\n')
    script.chmod(0o755)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens, once it answers there."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        found = _SERVING.search(log.read_text())
        if found is not None and _is_healthy(found[1]):
            return found[1]
        time.sleep(0.05)
    pytest.fail(f"the server did not start: {log.read_text()}")


def _is_healthy(address: str) -> bool:
    connection = HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
