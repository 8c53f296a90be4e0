"""A folder that the processes of one server share, for what they tell one another beside the databases."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rocket_kernel.store.file_lock import hold_file_lock

_PREFIX = "rocket-server-"
_LOCK = "lock"
_SURELY_LOCKED_S = 60.0
"""Age at which the folder of a server that lives is locked for certain."""


@contextmanager
def shared_dir(*, workers: int) -> Iterator[Path | None]:
    """Empty but for its lock; nobody else may look into it. It is gone when the block ends. None for one process."""
    if workers == 1:
        yield None
        return
    remove_abandoned(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = hold_file_lock(folder / _LOCK)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()


def remove_abandoned(place: Path) -> None:
    """Folders of servers that were killed: nobody holds their locks any more."""
    for folder in place.glob(f"{_PREFIX}*"):
        if not _is_own_and_old(folder):
            continue
        with suppress(OSError):
            lock = hold_file_lock(folder / _LOCK)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()


def _is_own_and_old(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:  # another server has removed it meanwhile
        return False
    old = time.time() - found.st_mtime > _SURELY_LOCKED_S
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and old
