"""docs/concurrency.md: its commands are run against a real server."""

from __future__ import annotations


def test_concurrency_examples_are_answered_as_shown(page, server_process):
    exchanges = page("docs/concurrency.md").exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) >= 6
    for exchange in exchanges:
        server_process.check(exchange)
