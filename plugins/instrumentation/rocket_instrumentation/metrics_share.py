"""Figures of the processes of one server, in a folder that they share.

A scraper reaches one of them, whichever takes the connection, and wants the figures of all. Each keeps its own in a
file, written anew every second and before it answers a scraper. So what one process has told of itself is never more
than what the next one tells of it, and sums do not go back.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import msgspec

from rocket_instrumentation.metrics_figures import Figures, Labels, ProcessFigures, Value

_PREFIX = "metrics-"
_LIVES_S = 10.0
"""Age of a file up to which its process counts as alive. It is written once a second."""

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True, eq=False)
class Shared:
    folder: Path
    id: str = field(default_factory=lambda: uuid4().hex)
    """Not the number of the process, which another one may have had."""
    _written: int = 0
    _lock: Lock = field(default_factory=Lock)

    def write(self, figures: Figures, serial: int, *, ended: bool = False) -> None:
        """Waits for the disk. Whoever reads meanwhile finds the former file.

        `serial` grows with the figures. A write that was cut off may still run on its thread: older figures never
        replace newer ones.
        """
        text = _encoded(figures, ended=ended)
        with self._lock:
            if serial > self._written:
                new = self.folder / f".{self.id}"
                new.write_bytes(text)
                new.replace(self._file)
                self._written = serial

    def others(self) -> list[ProcessFigures]:
        """Waits for the disk."""
        files = sorted(self.folder.glob(f"{_PREFIX}*"))
        return [found for file in files if file != self._file and (found := _read(file)) is not None]

    @property
    def _file(self) -> Path:
        return self.folder / f"{_PREFIX}{self.id}"


def _encoded(figures: Figures, *, ended: bool) -> bytes:
    listed = {
        name: [[labels, list(value) if isinstance(value, tuple) else value] for labels, value in found.items()]
        for name, found in figures.items()
    }
    return msgspec.json.encode({"pid": os.getpid(), "ended": ended, "figures": listed})


def _read(file: Path) -> ProcessFigures | None:
    try:
        age_s = time.time() - file.stat().st_mtime
        found = _decoder.decode(file.read_bytes())
        figures = {name: _figures(listed) for name, listed in found["figures"].items()}
        pid = int(found["pid"])
        return ProcessFigures(pid, age_s < _LIVES_S and not found["ended"] and _exists(pid), figures)
    except (OSError, ValueError, KeyError, TypeError):  # the folder goes when the server ends
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _figures(listed: Any) -> dict[Labels, Value]:
    return {tuple(labels): (value[0], value[1]) if isinstance(value, list) else value for labels, value in listed}
