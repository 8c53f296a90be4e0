"""`rocket plugins --running` beside a server of several processes, whose plugin does its worst."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import time
from pathlib import Path

import pytest

from rocket_kernel.commands.running import duration_text, running_lines
from rocket_kernel.serving.running import Process, Telling, running_processes
from rocket_kernel.step_times import StepTimes, Tally
from rocket_kernel.testing import Database, ServerProcess, entity

PLUGIN = """
import asyncio, sys, time

from rocket_kernel import Plugin, hookimpl


class Hostile(Plugin):
    name = "hostile"
    version = "3.2.1"

    @hookimpl
    async def before_write(self, write):
        title = write.record["title"]
        if title == "raise":
            raise KeyError("boom")
        if title == "exit":
            sys.exit(1)
        if title == "hang":
            await asyncio.sleep(3600)
        if title == "block":
            time.sleep(2.5)

    @hookimpl
    async def on_app_opened(self, app):
        if app.name == "sick":
            raise ValueError("cannot open")
"""
BROKEN = "from rocket_hostile import nothing_of_the_kind\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of processes that find two plugins installed, one of which cannot be imported."""
    site = tmp_path / "site"
    info = site / "rocket_hostile-3.2.1.dist-info"
    info.mkdir(parents=True)
    (site / "rocket_hostile.py").write_text(PLUGIN)
    (site / "rocket_broken.py").write_text(BROKEN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rocket-hostile\nVersion: 3.2.1\n")
    points = "[rocket.plugins]\nhostile = rocket_hostile:Hostile\nbroken = rocket_broken:Broken\n"
    (info / "entry_points.txt").write_text(points)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))}


async def test_a_server_with_a_hostile_plugin(tmp_path: Path, database: Database, environ: dict[str, str]) -> None:
    config = {"plugins.enabled": ["hostile"], "database.data_dir": str(tmp_path / "data")}
    place = database.config(data_dir=tmp_path / "data")
    with ServerProcess(tmp_path, place, workers=2, config=config, environ=environ) as server:
        async with server.caller() as platform, server.caller("one") as one, server.caller("two") as two:
            for name in ("one", "two", "sick"):
                (await platform.post("/api/_platform/apps", {"name": name})).require(201)
            for app in (one, two):
                (await app.post("_admin/entities", entity("note", title="string"))).require(201)
            for harm in ("raise", "exit"):
                assert (await one.post("note", {"title": harm})).status == 500
            assert (await platform.get("/api/sick/note")).status == 404
            hanging = asyncio.create_task(one.post("note", {"title": "hang"}))
            for _ in range(20):
                assert (await two.post("note", {"title": "fine"})).status == 201
            assert (await two.post("note", {"title": "block"})).status == 201
            await asyncio.sleep(1.5)
            shown = await asyncio.to_thread(server.run, "plugins", "--running")
            hanging.cancel()
        assert (shown.returncode, shown.stderr) == (0, "")
        first, headings, *rows = shown.stdout.splitlines()
        assert "2 processes (" in first
        assert headings.split() == ["step", "runs", "failed", "total", "mean", "95%", "in", "longest"]
        (row,) = [row.split() for row in rows if row.startswith("hostile:before_write")]
        assert row[1:3] == ["23", "2"]
        assert row[-1] == "s"
        assert 2.4 < float(row[-2]) < 20
        log = server.log
        assert (
            "POST /api/one/note failed in plugin 'hostile', hook before_write: raised KeyError (rocket_hostile.py:"
            in log
        )
        assert "raised SystemExit (rocket_hostile.py:" in log
        assert "plugin 'hostile' (rocket_hostile.py:" in log
        assert "keeps the event loop from turning" in log
        folder = tmp_path / "data" / "running"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
        # A killed process leaves its file, and whoever looks next clears it away.
        server.kill()
        gone = await asyncio.to_thread(server.run, "plugins", "--running")
        assert (gone.returncode, "no server is running" in gone.stderr) == (1, True)
    await asyncio.to_thread(_assert_broken_is_named, server)


def _assert_broken_is_named(server: ServerProcess) -> None:
    """A plugin that is installed, cannot be imported, and is not enabled, is no matter of anybody."""
    shown = server.run("plugins")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("1. hostile 3.2.1\n")


def test_a_broken_and_a_missing_plugin_are_named_after_all_others_have_been_shown(
    tmp_path: Path, database: Database, environ: dict[str, str]
) -> None:
    config = {"plugins.enabled": ["hostile", "broken", "absent"]}
    server = ServerProcess(tmp_path, database.config(), config=config, environ=environ)
    shown = server.run("plugins")
    assert shown.returncode == 1
    assert "1. hostile 3.2.1" in shown.stdout
    first, second = shown.stderr.splitlines()
    assert first.startswith("Error: plugin 'broken': cannot be imported from rocket_broken:Broken: cannot import name")
    assert first.endswith("(rocket_broken.py:1)")
    assert second.startswith("Error: plugin 'absent': is enabled in the configuration but not installed (installed: ")
    refused = server.run("serve", "--port", "0")
    assert (refused.returncode, refused.stderr.splitlines()) == (1, [first])


def test_files_of_living_processes_are_read_and_others_removed(tmp_path: Path) -> None:
    folder, times = tmp_path / "running", StepTimes()
    assert list(running_processes(folder)) == []
    time_of = times.of("x:y")
    time_of.classes[4], time_of.total_s, time_of.longest_s = 2, 0.5, 0.25
    first, second = Telling(folder, "here:1", times), Telling(folder, "here:1", StepTimes())
    first.tell()
    second.tell()
    (folder / "left.json").write_text("{}")
    (folder / "left.starting").write_text("")
    os.utime(folder / "left.starting", (1, 1))
    (folder / "new.starting").write_text("")
    found = sorted(running_processes(folder), key=lambda process: -len(process.steps))
    assert [process.steps for process in found] == [{"x:y": Tally(2, 0, 0.5, 0.25, (0, 0, 0, 0, 2))}, {}]
    assert {process.pid for process in found} == {os.getpid()}
    assert [path.name for path in folder.iterdir() if path.suffix != ".json"] == ["new.starting"]
    assert len(list(folder.iterdir())) == 3
    for telling in (first, second):
        telling.end()
        telling.tell()
    assert [path.name for path in folder.iterdir()] == ["new.starting"]


def test_a_process_killed_this_moment_is_not_shown(tmp_path: Path) -> None:
    lives = Telling(tmp_path, "here:1", StepTimes())
    lives.tell()
    ended = tmp_path / "ended.json"
    ended.write_bytes(next(tmp_path.iterdir()).read_bytes())
    with ended.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # somebody else looks at the same time
        assert len(list(running_processes(tmp_path))) == 1
    assert not ended.exists()
    lives.end()


def test_a_folder_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    telling = Telling(tmp_path / "file" / "running", "here:1", StepTimes())
    telling.tell()
    telling.tell()
    telling.end()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_being_written_is_read_again(tmp_path: Path) -> None:
    telling = Telling(tmp_path, "here:1", StepTimes())
    telling.tell()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:10])
    assert list(running_processes(tmp_path)) == []
    path.write_bytes(whole)
    assert len(list(running_processes(tmp_path))) == 1
    telling.end()


def test_the_table_of_what_runs() -> None:
    now = time.time()
    steps = {
        "b:cheap": Tally(10, 0, 0.00002, 0.000003, (0, 5, 5)),
        "b:dear": Tally(1, 1, 2.5, 2.5, (0,) * 22 + (1,)),
        "a:one": Tally(1200, 3, 0.25, 0.001, (0,) * 8 + (1200,)),
    }
    processes = [Process(7, "127.0.0.1:80", now, now - 2, steps), Process(8, "127.0.0.1:80", now, now, {})]
    assert list(running_lines(processes, now)) == [
        "127.0.0.1:80: 2 processes (7, 8), as of 2 s ago",
        "step     runs  failed    total     mean   95% in  longest",
        "a:one    1200       3   250 ms   208 µs   250 µs  1.00 ms",
        "b:dear      1       1   2.50 s   2.50 s   2.50 s   2.50 s",
        "b:cheap    10       0  20.0 µs  2.00 µs  3.00 µs  3.00 µs",
    ]
    idle = [Process(7, "127.0.0.1:80", now, now, {})]
    assert list(running_lines(idle, now))[1:] == ["No step of a plugin has run yet."]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 µs"), (4.2e-7, "0.42 µs"), (0.0125, "12.5 ms"), (0.125, "125 ms"), (1.0, "1.00 s"), (3600, "3600 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
