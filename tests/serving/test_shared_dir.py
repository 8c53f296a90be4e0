"""The folder that the processes of one server share."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rocket_kernel.serving import shared_dir as module
from rocket_kernel.serving.shared_dir import remove_abandoned, shared_dir


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))


def age(folder: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(folder, (long_ago, long_ago))


def test_one_process_needs_none(tmp_path):
    with shared_dir(workers=1) as folder:
        assert folder is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_private_and_gone_at_the_end(tmp_path):
    with shared_dir(workers=2) as folder:
        assert folder is not None
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "note").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path):
    with pytest.raises(KeyError), shared_dir(workers=2):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_goes_with_the_next_start(tmp_path):
    code = (
        "import os, signal, tempfile; from rocket_kernel.serving.shared_dir import shared_dir\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with shared_dir(workers=2): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    with shared_dir(workers=2) as young:
        assert left.exists(), "it might be that of a server that is just starting"
        age(left)
        age(young)
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [young], "one that is in use stays, however old"


def test_what_belongs_to_others_stays(tmp_path):
    file, link, other = (tmp_path / f"rocket-server-{name}" for name in ("file", "link", "other"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file.write_text("x")
    link.symlink_to(elsewhere)
    other.mkdir()
    age(file)
    age(other)
    if os.getuid() == 0:
        os.chown(other, 12345, -1)
    remove_abandoned(tmp_path)
    assert elsewhere.exists()
    assert file.exists()
    assert link.is_symlink()
    assert other.exists() is (os.getuid() == 0)
