"""Watching a write: which steps ran and how long they took, and which statements. Only explain watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

from rocket_kernel.errors import Detail, RocketError
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.protocol import Row, Transaction
from rocket_kernel.write.context import Write
from rocket_kernel.write.stages import DELETE, Stage, Step

Outcome = Literal["ok", "skipped", "rejected", "error"]


@dataclass(frozen=True, slots=True)
class StepNote:
    """One step for one record."""

    stage: Stage
    name: str
    outcome: Outcome = "ok"
    ms: float = 0.0
    detail: str | None = None
    """What a further write is for, the path of a nested record, why the step did not end well. For administrators."""
    taken_along: bool = False
    """For a row that an `on_delete` reaches, which the caller may not know of. For administrators."""


@dataclass(frozen=True, slots=True)
class StatementNote:
    sql: str
    params_count: int
    ms: float


@dataclass(slots=True, eq=False)
class Recorder:
    """Notes of one run, in the order in which things happened."""

    steps: list[StepNote] = field(default_factory=list)
    statements: list[StatementNote] = field(default_factory=list)

    async def run(self, step: Step, write: Write) -> None:
        """Run a step. It is rejected when it raises or adds findings, and an error when it fails otherwise."""
        before = _findings(write)
        started = perf_counter()
        outcome: Outcome = "ok"
        reason = ""
        try:
            await step.run(write)
            found = _findings(write)
            if len(found) > len(before):
                outcome = "rejected"
                reason = "; ".join(detail.message for key, detail in found.items() if key not in before)
        except RocketError as error:
            outcome, reason = "rejected" if error.status < 500 else "error", error.message
            raise
        except Exception as error:
            # Its text could hold values; the log has it.
            outcome, reason = "error", type(error).__name__
            raise
        finally:
            detail = ": ".join(part for part in (write.run.title, write.path, reason) if part)
            ms, taken = elapsed_ms(started), is_taken_along(write)
            self.steps.append(StepNote(step.stage, step.name, outcome, ms, detail or None, taken))

    @contextmanager
    def statement(self, sql: str, params_count: int) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.statements.append(StatementNote(sql, params_count, elapsed_ms(started)))


def elapsed_ms(started: float) -> float:
    """Milliseconds since a reading of `perf_counter`, to the microsecond."""
    return round((perf_counter() - started) * 1000, 3)


def is_taken_along(write: Write) -> bool:
    return write.parent is not None and (write.by_engine or write.parent.action == DELETE)


def _findings(write: Write) -> dict[int, Detail]:
    """The findings of the whole request so far, by identity; a step may add to other records than its own."""
    root = write
    while root.parent is not None:
        root = root.parent
    # While the tree is being planned a record is not in it yet.
    found: dict[int, Detail] = {}
    for item in (*root.tree(), write):
        found.update((id(detail), detail) for detail in (*item.errors, *(detail for _, detail in item.item_errors)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class RecordingTransaction:
    """A Transaction that notes the text of its statements. Values of parameters are counted and never kept."""

    tx: Transaction
    recorder: Recorder

    @property
    def dialect(self) -> Dialect:
        return self.tx.dialect

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        with self.recorder.statement(sql, len(params)):
            return await self.tx.fetch(sql, params)

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        with self.recorder.statement(sql, len(params)):
            return await self.tx.execute(sql, params)

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with self.recorder.statement(sql, len(rows[0]) if rows else 0):
            await self.tx.execute_many(sql, rows)

    async def version(self) -> Hashable | None:
        return await self.tx.version()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self.tx.savepoint():
            yield
