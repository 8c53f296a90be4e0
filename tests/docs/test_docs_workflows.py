"""docs/workflows.md: its commands are run against a real server."""

from __future__ import annotations


def test_workflow_examples_are_answered_as_shown(page, server_process):
    exchanges = page("docs/workflows.md").exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) >= 3
    for exchange in exchanges:
        server_process.check(exchange)
