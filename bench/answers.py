"""Single requests, for seeding and for checking what a server answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import click

from bench.asks import Ask

_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Answer:
    ask: Ask
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def require(self) -> Any:
        """The body of a successful answer. Raises ClickException that shows any other."""
        if not 200 <= self.status < 300:
            shown = self.body[:500].decode(errors="replace")
            raise click.ClickException(f"{self.ask.method} {self.ask.target} was answered {self.status}: {shown}")
        return self.json if self.body else None


def ask(address: str, asked: Ask, headers: Mapping[str, str] | None = None) -> Answer:
    """Raises OSError when nobody answers."""
    connection = HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        sent = {"Content-Type": "application/json", **(headers or {})} if asked.body else dict(headers or {})
        connection.request(asked.method, asked.target, asked.body.encode() or None, sent)
        response = connection.getresponse()
        return Answer(asked, response.status, response.read())
    finally:
        connection.close()
