"""What a serving process tells other processes of this machine about itself: a small file, for its owner alone.

Each process of a server keeps one in the folder `running` beside the embedded databases, locked as long as it lives.
So whoever reads it knows that it is of a living process, and files of killed ones are cleared away.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from rocket_kernel.config import Config
from rocket_kernel.step_times import StepTimes, Tally

logger = logging.getLogger(__name__)

_LOOKS = 20
_PAUSE_S = 0.02
_UNLOCKED = ".starting"
_STARTING_S = 60.0
"""No process takes so long between making its file and locking it."""


def folder_of(config: Config) -> Path:
    return Path(config.database.data_dir) / "running"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a server, as it last told. Times are seconds since 1970."""

    pid: int
    address: str
    started: float
    told: float
    steps: Mapping[str, Tally]


@dataclass(slots=True, eq=False)
class Telling:
    """Of this process. When the folder cannot be written, nobody is told."""

    folder: Path
    address: str
    times: StepTimes
    _started: float = field(default_factory=time.time)
    _file: int | None = None
    _path: Path | None = None
    _ended: bool = False
    _alone: threading.Lock = field(default_factory=threading.Lock)
    """A file that is closed while it is written could have become another one."""

    def tell(self) -> None:
        """Called from any thread, again and again."""
        with self._alone:
            if self._ended:
                return
            try:
                if self._file is None:
                    self._file = self._open()
                self._write(self._file)
            except OSError as error:
                self._ended = True
                logger.info("`rocket plugins --running` will not see this process: %s", error)

    def end(self) -> None:
        with self._alone:
            self._ended = True
            if self._path is not None:
                self._path.unlink(missing_ok=True)
            if self._file is not None:
                os.close(self._file)
            self._file = self._path = None

    def _open(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in running_processes(self.folder):
            pass  # looking clears away what killed ones have left
        name = uuid4().hex
        unlocked = self.folder / f"{name}{_UNLOCKED}"
        file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        # Under its name the file is never without its lock, so nobody takes a starting process for a dead one.
        self._path = unlocked.rename(self.folder / f"{name}.json")
        return file

    def _write(self, file: int) -> None:
        body = {
            "pid": os.getpid(),
            "address": self.address,
            "started": self._started,
            "told": time.time(),
            "steps": {name: asdict(tally) for name, tally in self.times.tallies().items()},
        }
        text = json.dumps(body).encode()
        os.pwrite(file, text, 0)
        os.ftruncate(file, len(text))


def running_processes(folder: Path) -> Iterator[Process]:
    """Those that live. Files of others are removed. Raises OSError for a folder that may not be read."""
    if not folder.is_dir():
        return
    for path in folder.glob(f"*{_UNLOCKED}"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STARTING_S:
                path.unlink()
    for path in sorted(folder.glob("*.json")):
        found = _read(path)
        if found is not None:
            yield found


def _read(path: Path) -> Process | None:
    for _ in range(_LOOKS):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            if _is_left_over(file.fileno()):
                path.unlink(missing_ok=True)
                return None
            found = _parsed(file.read())
        if found is not None:
            return found
        time.sleep(_PAUSE_S)  # it is being written
    return None


def _is_left_over(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who look do not take each other for it
    except BlockingIOError:
        return False
    return True


def _parsed(text: bytes) -> Process | None:
    try:
        body: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    steps = {name: Tally(**{**tally, "classes": tuple(tally["classes"])}) for name, tally in body["steps"].items()}
    return Process(body["pid"], body["address"], body["started"], body["told"], steps)
