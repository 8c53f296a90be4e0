"""`kill -9` in the middle of everything: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from itertools import count
from random import Random

import pytest

from rocket_kernel.testing import entity, one_to_many
from rocket_kernel.testing.processes import Lost

CLIENTS = 16
MOST_RECORDS = 12
"""Of each client."""
LAYOUTS = [("granian", 2), ("hypercorn", 1), ("granian", 1), ("hypercorn", 2)]
RESTART_S = 10

TRANSFER = entity("transfer", key="string! unique", note="string", at="timestamp auto=update")
ENTRY = entity("entry", transfer_id="uuid!", slot="int!", amount="int!")
ENTRIES = one_to_many("entries", "transfer", "entry", on_delete="cascade")


class Ledger:
    """Transfers of one row and three entries that sum to zero, and the states in which each of them may be.

    A transfer belongs to one client. It is in one state, or, after a request without an answer, in one of two. A
    state is the note and the amounts; None is a transfer that is not there.
    """

    def __init__(self, seed):
        self.random = Random(seed)
        self.possible = {}
        self.ids = {}
        self.unanswered_creates = {}
        self.seen = Counter()
        self._numbers = count()

    @contextmanager
    def attempt(self, key, after):
        self.possible[key] = [*self.possible.get(key, [None]), after]
        yield
        self.possible[key] = [after]
        self.seen["acknowledged"] += 1

    def any_state(self):
        first, second = self.random.randint(-999, 999), self.random.randint(-999, 999)
        return f"note {next(self._numbers)}", (first, second, -first - second)

    async def work(self, caller, client):
        """Write and read until the server is gone."""
        mine = {key for key in self.possible if key.startswith(f"{client}/")}
        try:
            while True:
                await self._one_request(caller, client, mine)
        except Lost:
            self.seen["unanswered"] += 1

    async def _one_request(self, caller, client, mine):
        kind = self.random.choice(("create", "create", "rewrite", "annotate", "delete", "read", "read"))
        if not mine or (kind == "create" and len(mine) < MOST_RECORDS):
            key = f"{client}/{next(self._numbers)}"
            await self.create(caller, key, self.any_state())
            mine.add(key)
        elif kind == "read":
            await self._read(caller, self.random.choice(sorted(mine)))
        elif kind == "delete":
            key = self.random.choice(sorted(mine))
            with self.attempt(key, None):
                (await caller.delete(f"transfer/{self.ids[key]}")).require(200)
            mine.remove(key)
            del self.possible[key]
        else:
            key = self.random.choice(sorted(mine))
            (known,) = self.possible[key]
            note, amounts = self.any_state()
            body = {"note": note}
            if kind == "rewrite":
                body["entries"] = {"_write_mode": "replace", "data": items(amounts)}
            with self.attempt(key, (note, amounts if kind == "rewrite" else known[1])):
                (await caller.put(f"transfer/{self.ids[key]}", body)).require(200)

    async def create(self, caller, key, state):
        self.unanswered_creates[key] = state
        with self.attempt(key, state):
            body = {"key": key, "note": state[0], "entries": items(state[1])}
            made = (await caller.post("transfer", body, idempotency_key=key)).require(201)
        del self.unanswered_creates[key]
        assert self.ids.setdefault(key, made.data["id"]) == made.data["id"]

    async def _read(self, caller, key):
        read = (await caller.get(f"transfer/{self.ids[key]}?include=entries")).require(200).data
        assert [state_of(read)] == self.possible[key]

    async def audit(self, caller):
        """Every transfer is in a state it may be in, and there are no entries but theirs."""
        stored = {row["key"]: row for row in await everything(caller, "transfer?include=entries&sort=key")}
        assert stored.keys() <= self.possible.keys()
        for key, states in self.possible.items():
            state = state_of(stored[key]) if key in stored else None
            assert state in states, key
            if len(states) > 1:
                self.seen["kept" if state == states[-1] else "undone"] += 1
        assert (await caller.get("entry?per_page=1")).require(200).meta["total"] == 3 * len(stored)
        self.ids = {key: row["id"] for key, row in stored.items()}
        self.possible = {key: [state_of(row)] for key, row in stored.items()}

    async def repeat_unanswered_creates(self, caller):
        """With their Idempotency-Key, as a careful client does. None makes a second record."""
        for key, state in list(self.unanswered_creates.items()):
            await self.create(caller, key, state)


def items(amounts):
    return [{"slot": slot, "amount": amount} for slot, amount in enumerate(amounts)]


def state_of(row):
    entries = sorted((entry["slot"], entry["amount"]) for entry in row["entries"])
    slots, amounts = zip(*entries, strict=True) if entries else ((), ())
    assert slots == (0, 1, 2), row
    assert sum(amounts) == 0, row
    return row["note"], amounts


async def everything(caller, path):
    rows = []
    while True:
        answer = (await caller.get(f"{path}&per_page=200&page={len(rows) // 200 + 1}")).require(200)
        rows += answer.data
        if len(answer.data) < 200:
            assert len(rows) == answer.meta["total"]
            return rows


def require_sound_files(folder):
    for file in folder.glob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=pytest.mark.torture)])
async def test_no_acknowledged_write_is_lost_and_no_write_is_half_there(stage, database, figure, rounds):
    run = stage(server=LAYOUTS[0][0], workers=LAYOUTS[0][1])
    app = await run.app(TRANSFER, ENTRY, relations=[ENTRIES])
    ledger, slowest = Ledger(seed=rounds), 0.0
    for number in range(1, rounds + 1):
        async with run.callers(CLIENTS, app) as callers:
            clients = [asyncio.create_task(ledger.work(caller, client)) for client, caller in enumerate(callers)]
            await asyncio.sleep(ledger.random.uniform(0.1, 0.6))
            await asyncio.to_thread(run.server.kill)
            await asyncio.gather(*clients)
        server, workers = LAYOUTS[number % len(LAYOUTS)]
        slowest = max(slowest, await asyncio.to_thread(run.server.start, server=server, workers=workers))
        async with run.caller(app) as caller:
            await ledger.audit(caller)
            await ledger.repeat_unanswered_creates(caller)
            await ledger.audit(caller)
    require_sound_files(database.config().data_dir)
    assert slowest < RESTART_S
    assert "Traceback" not in run.log
    assert ledger.seen["acknowledged"] > 10 * rounds
    figure("kills", rounds)
    figure("slowest restart in s", slowest)
    for name, number in ledger.seen.items():
        figure(name, number)
