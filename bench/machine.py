"""What it was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

_SYNCS = 200


def describe(folder: Path) -> Mapping[str, str]:
    """`folder` is where the databases lie."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file system": _file_system(folder),
        "one write with fdatasync": f"{sync_ms(folder):.2f} ms",
        "load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "commit": _commit(),
    }


def sync_ms(folder: Path) -> float:
    """Median time to write a page and sync it, in milliseconds: what every durable commit costs at least."""
    path = folder / "sync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            start = time.perf_counter()
            file.write(b"\0" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    path.unlink()
    return median(times) * 1000


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the mount with the longest path above the folder."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    found = "unknown", ""
    for line in mounts.read_text().splitlines():
        _, point, kind, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) > len(found[1]):
            found = kind, point
    return found[0]


def _commit() -> str:
    """Of this checkout; `+` when there are changes that are not committed."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
