"""Server processes: pinned to a core, started, awaited, stopped, and what of the core they and others took."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from bench.answers import ask
from bench.asks import get

_START_S, _STOP_S, _PAUSE_S = 30.0, 30.0, 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers and that of the load; None leaves both where the system puts them."""

    server: int | None
    load: int | None


def choose_cores() -> Cores:
    """The first two cores this process may use; a machine with one core has to share it."""
    if not hasattr(os, "sched_getaffinity"):  # only Linux can pin
        return Cores(None, None)
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(first, others[0] if others else first)


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Processes started in the block run on this core: they inherit it."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def urgent(nice: int) -> Iterator[None]:
    """Processes started in the block go before or after others: -20 is the most urgent, for which one must be root.

    They must be the first of a session of their own, and be given to `pass_on_urgency`.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def pass_on_urgency(pid: int) -> None:
    """Linux weighs sessions against each other, and the priority of a process inside its session only."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    group = Path(f"/proc/{pid}/autogroup")
    if nice and group.exists():
        group.write_text(str(nice))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server and its workers, in a session of their own."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_s(self) -> float:
        """Processor time of all processes of the session so far."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # The name in parentheses may contain anything; behind it stand state, parent, group, session.
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS_PER_S


@contextmanager
def running(
    command: Sequence[str], *, address: str, health: str, core: int | None, folder: Path, environ: Mapping[str, str]
) -> Iterator[ServerProcess]:
    """The server while it answers `health` with success; stopped when the block ends. Raises ClickException."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("ab") as output, pinned(core):
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    pass_on_urgency(process.pid)
    server = ServerProcess(address, process, log)
    try:
        _await_health(server, health)
        yield server
    finally:
        _stop(process)


def busy_s(core: int) -> float:
    """Time that programs have used of a core, and that other machines on the same hardware have taken from it."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, _irq, _softirq, stolen = map(int, fields[:8])
            return (user + nice + system + stolen) / _TICKS_PER_S
    raise click.ClickException(f"core {core} does not exist")


def _await_health(server: ServerProcess, health: str) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and server.process.poll() is None:
        with suppress(OSError):
            if ask(server.address, get(health)).status == 200:
                return
        time.sleep(_PAUSE_S)
    raise click.ClickException(f"the server did not start; its log says: {server.log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
