"""Sessions whose statements show in the trace of whoever runs them: their shape, rows and times, never values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Any

from rocket_kernel.errors import RocketError
from rocket_kernel.store.dialects.base import Dialect
from rocket_kernel.store.protocol import Row
from rocket_kernel.tracing import note_statement, open_span


class NotedSession:
    """A Session, or the Transaction it is made of, that notes each statement."""

    __slots__ = ("_session", "dialect")

    def __init__(self, session: Any) -> None:
        self._session = session
        self.dialect: Dialect = session.dialect

    async def fetch(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        began = perf_counter_ns()
        try:
            rows: list[Row] = await self._session.fetch(sql, params)
        except RocketError as error:
            note_statement(sql, began, None, error)
            raise
        note_statement(sql, began, len(rows))
        return rows

    async def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        began = perf_counter_ns()
        try:
            changed: int = await self._session.execute(sql, params)
        except RocketError as error:
            note_statement(sql, began, None, error)
            raise
        note_statement(sql, began, changed)
        return changed

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        began = perf_counter_ns()
        try:
            await self._session.execute_many(sql, rows)
        except RocketError as error:
            note_statement(sql, began, None, error)
            raise
        note_statement(sql, began, len(rows))

    async def version(self) -> Hashable | None:
        version: Hashable | None = await self._session.version()
        return version

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        async with self._session.savepoint():
            yield


def noted(session: Any) -> Any:
    """The session, whose statements show in the open trace, if there is one."""
    return session if open_span() is None else NotedSession(session)
