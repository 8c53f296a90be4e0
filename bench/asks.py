"""The requests of a load, and the file in which `load.lua` finds them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRESH_ID = "@" * 15
"""Stands in a body for an id that no request before has used; as long as the id, so that lengths stay right."""


@dataclass(frozen=True, slots=True)
class Ask:
    method: str
    target: str
    """Path and query as they travel."""
    body: str = ""


def get(target: str) -> Ask:
    return Ask("GET", target)


def post(target: str, body: Any) -> Ask:
    return Ask("POST", target, json.dumps(body, separators=(",", ":")))


def write_asks(asks: Iterable[Ask], path: Path) -> None:
    """One a line, parts separated by tabs, which none of the parts contains."""
    lines = ["\t".join((ask.method, ask.target, ask.body)) for ask in asks]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
