"""`kill -9` in the middle of everything: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from rocket_kernel.testing.processes import Lost

CLIENTS = 16
LAYOUTS = [("granian", 2), ("hypercorn", 1), ("granian", 1), ("hypercorn", 2)]
RESTART_S = 10


async def work(ledger, caller, client):
    """Write and read until the server is gone."""
    try:
        while True:
            await ledger.write_and_read(caller, client)
    except Lost:
        ledger.seen["unanswered requests"] += 1


def require_sound_files(folder):
    for file in folder.glob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("rounds", [2, pytest.param(60, marks=pytest.mark.torture)])
async def test_no_acknowledged_write_is_lost_and_no_write_is_half_there(stage, database, ledger, figure, rounds):
    run = stage(server=LAYOUTS[0][0], workers=LAYOUTS[0][1])
    book, slowest = ledger(rounds), 0.0
    app = await run.app(*book.ENTITIES, relations=book.RELATIONS)
    for number in range(1, rounds + 1):
        async with run.callers(CLIENTS, app) as callers:
            clients = [asyncio.create_task(work(book, caller, client)) for client, caller in enumerate(callers)]
            await asyncio.sleep(book.random.uniform(0.1, 0.6))
            await asyncio.to_thread(run.server.kill)
            await asyncio.gather(*clients)
        server, workers = LAYOUTS[number % len(LAYOUTS)]
        slowest = max(slowest, await asyncio.to_thread(run.server.start, server=server, workers=workers))
        async with run.caller(app) as caller:
            await book.audit(caller)
            await book.repeat_unanswered_creates(caller)
            await book.audit(caller)
    require_sound_files(database.config().data_dir)
    assert slowest < RESTART_S
    assert "Traceback" not in run.log
    assert book.seen["acknowledged writes"] > 10 * rounds
    figure("slowest restart in s", slowest)
    for name, number in book.seen.items():
        figure(name, number)
