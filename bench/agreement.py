"""Whether two servers give the same answers. A server that answers errors, or less, would seem fast."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import click

from bench.answers import ask
from bench.asks import FRESH_ID, Ask
from bench.contender import Contender
from bench.rows import SALE_LINES, Rows

_FILTERS = frozenset({"filter", "unasked"})
_LISTS = _FILTERS | {"list", "includes"}
_TRIES = 40


def require_agreement(scenario: str, rows: Rows, served: Mapping[str, tuple[Contender, str]]) -> None:
    """Ask every server the same and compare what they answer, field by field. Raises ClickException.

    `served` holds contenders with their addresses. A list without an order has the same length everywhere, but each
    server has its own idea of what comes first.
    """
    asks = {name: contender.asks(scenario, rows) for name, (contender, _) in served.items()}
    if len({len(listed) for listed in asks.values()}) != 1:
        raise click.ClickException(f"{scenario}: the servers are asked different numbers of questions")
    count = len(next(iter(asks.values())))
    positions = random.Random(3).sample(range(count), min(count, _TRIES if scenario in _FILTERS | {"get"} else 1))
    for position in positions:
        seen = {
            name: _seen(scenario, contender, address, asks[name][position])
            for name, (contender, address) in served.items()
        }
        if any(each != next(iter(seen.values())) for each in seen.values()):
            raise click.ClickException(f"{scenario}: the servers answer differently: {seen}")


def _seen(scenario: str, contender: Contender, address: str, asked: Ask) -> Any:
    body = ask(address, _with_id(asked)).require()
    if scenario == "mixed":  # its parts are compared as scenarios of their own
        return None
    if scenario not in _LISTS:
        return contender.record(body)
    page = contender.page(body)
    if scenario in _FILTERS:
        return page.total, page.records
    if not page.records or not all(page.records):
        raise click.ClickException(f"{scenario}: {contender.title} answers no records")
    return page.total, len(page.records), [sorted(record) for record in page.records]


def _with_id(asked: Ask) -> Ask:
    fresh = "".join(random.SystemRandom().choices("abcdefghijklmnopqrstuvwxyz", k=len(FRESH_ID)))
    return Ask(asked.method, asked.target, asked.body.replace(FRESH_ID, fresh))


def require_stored(
    scenario: str, before: Mapping[str, int], after: Mapping[str, int], requests: int, connections: int
) -> None:
    """What was answered with success must be there: as many rows as requests, and those that nobody waited for.

    wrk leaves when its time is over, however many requests are under way: here, and in the warm-up before.
    """
    expected = {"create": {"products": 1}, "nested": {"sales": 1, "lines": SALE_LINES}}.get(scenario, {})
    for table, each in expected.items():
        made = after[table] - before[table]
        if not requests * each <= made <= (requests + 2 * connections) * each or made % each:
            raise click.ClickException(f"{scenario}: {requests} requests were answered, and {made} {table} were stored")
