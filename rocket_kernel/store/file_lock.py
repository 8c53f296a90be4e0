"""A lock on a file, which the system takes away from a process that dies."""

from __future__ import annotations

import fcntl
from io import FileIO
from pathlib import Path


def hold_file_lock(path: Path) -> FileIO | None:
    """The open file while it is held; closing it frees the lock. None when another holder has it.

    The file stays: removing it would let two processes lock two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = FileIO(path, "a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file
