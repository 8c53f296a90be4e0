"""docs/permissions.md: its commands are run against a real server, its operators and templates are those of the code."""

from __future__ import annotations

import re

from rocket_kernel.query.filters import OPERATORS


def test_commands_are_answered_as_shown(page, server_process):
    exchanges = page("docs/permissions.md").exchanges()
    assert [exchange.status for exchange in exchanges if exchange.status is not None] == [200, 403, 403]
    for exchange in exchanges:
        server_process.check(exchange)


def test_every_operator_is_named(page):
    section = page("docs/permissions.md").section("## Conditions")
    listed = section.partition(": ")[2].partition(", each for")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == OPERATORS
