"""What the two servers have in common for a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.asks import Ask
from bench.processes import ServerProcess
from bench.rows import Rows


@dataclass(frozen=True, slots=True)
class Page:
    """Records of a list in one form for both servers: fields of the rows, and of what was included by its name."""

    total: int
    records: list[dict[str, Any]]


class Contender(Protocol):
    @property
    def name(self) -> str:
        """In lower case, for keys and folders."""
        ...

    @property
    def title(self) -> str: ...

    def version(self) -> str: ...

    def seed(self, folder: Path, rows: Rows) -> None:
        """Fill an empty folder with the rows, through the server's own API."""
        ...

    def serve(self, folder: Path, core: int | None) -> AbstractContextManager[ServerProcess]:
        """A server on such a folder."""
        ...

    def settings(self, folder: Path) -> Mapping[str, str]:
        """What is in force, asked of the server's own code on a copy of such a folder."""
        ...

    def asks(self, scenario: str, rows: Rows) -> Sequence[Ask]:
        """The requests of a scenario, in the same order for every server."""
        ...

    def page(self, body: Any) -> Page: ...

    def record(self, body: Any) -> dict[str, Any]:
        """The one record of an answer; of a nested create the outer one."""
        ...

    def totals(self, address: str) -> Mapping[str, int]:
        """How many products, sales and lines there are."""
        ...
