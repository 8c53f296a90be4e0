"""Load from `wrk`: the command, and what it reports."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from bench.asks import Ask, write_asks
from bench.processes import pass_on_urgency, pinned

MISSING = "wrk is not installed; it makes the load. Its package is called wrk: apt-get install wrk, or brew install wrk"
SCRIPT = Path(__file__).with_name("load.lua")
_MARK = "BENCH "


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to ask. Closed loop: each connection asks again as soon as it is answered."""

    connections: int
    seconds: float
    core: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load. Latencies are in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


class LoadFailed(click.ClickException):
    """Some requests were not answered with success, so that the figure would mean nothing."""


def require_wrk() -> str:
    """Where it is. Raises ClickException: one line, exit code 1."""
    found = shutil.which("wrk")
    if found is None:
        raise click.ClickException(MISSING)
    return found


def run_wrk(address: str, asks: Sequence[Ask], load: Load, folder: Path, *, seed: int) -> Outcome:
    """Raises LoadFailed when anything but success was answered."""
    file = folder / "asks.tsv"
    write_asks(asks, file)
    words = command(require_wrk(), address, load, file, seed=seed)
    with pinned(load.core):
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    pass_on_urgency(process.pid)
    output, errors = process.communicate()
    if process.returncode != 0:
        raise LoadFailed(f"wrk ended with exit code {process.returncode}: {errors.strip() or output.strip()}")
    return parse_outcome(output)


def command(wrk: str, address: str, load: Load, asks: Path, *, seed: int) -> list[str]:
    threads, timeout_s = 1, 10
    options = ["-t", threads, "-c", load.connections, "-d", f"{max(round(load.seconds), 1)}s", "--timeout", timeout_s]
    return [wrk, *map(str, options), "-s", str(SCRIPT), f"http://{address}", "--", str(asks), str(seed)]


def parse_outcome(text: str) -> Outcome:
    """The line that `load.lua` prints. Raises LoadFailed for refused requests and for broken connections."""
    line = next((line for line in text.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise LoadFailed(f"wrk reported nothing: {text.strip() or 'no output'}")
    report = json.loads(line.removeprefix(_MARK))
    failures = {
        "not answered with success": report["refused"],
        "could not connect": report["connect"],
        "broke while reading": report["read"],
        "broke while writing": report["write"],
        "timed out": report["timeout"],
    }
    happened = [f"{count} {what}" for what, count in failures.items() if count]
    if happened or not report["requests"]:
        raise LoadFailed(f"of {report['requests']} requests {', '.join(happened) or 'none was answered'}")
    return Outcome(
        requests=report["requests"],
        seconds=report["duration_us"] / 1e6,
        p50_ms=report["p50_us"] / 1000,
        p99_ms=report["p99_us"] / 1000,
    )
