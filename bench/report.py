"""Figures for people and programs: markdown and JSON. Pure, but for `write_files`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import Comparison, Figure

Settings = Mapping[str, Mapping[str, str]]
"""By contender's title, or by "machine" and "load": what was in force."""


def ratio_table(comparisons: Sequence[Comparison], ours: str, theirs: str) -> str:
    """A markdown table; rates are requests per second, latencies milliseconds."""
    head = [
        "",
        f"{theirs} /s",
        f"{ours} /s",
        "ratio",
        "rounds",
        "target",
        f"{theirs} p50 / p99 ms",
        f"{ours} p50 / p99 ms",
    ]
    rows = [
        [
            each.scenario.label,
            f"{each.theirs.rate:,.0f}",
            f"{each.ours.rate:,.0f}",
            f"**{each.ratio:.2f}**",
            f"{each.lowest:.2f} to {each.highest:.2f}",
            _target(each),
            _latency(each.theirs),
            _latency(each.ours),
        ]
        for each in comparisons
    ]
    return markdown_table(head, rows)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are figures. Padded, so that it can be read unrendered too."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_padded(head, widths), f"| {' | '.join(rule)} |", *(_padded(row, widths) for row in rows)]
    return "\n".join(lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def settings_list(settings: Settings) -> str:
    lines = [
        f"- {title}: {', '.join(f'{name} {value}' for name, value in facts.items())}"
        for title, facts in settings.items()
    ]
    return "\n".join(lines)


def disturbance(comparisons: Sequence[Comparison], limit: float) -> str:
    """A warning when other programs took part of the server's core, else ""."""
    disturbed = [each.scenario.name for each in comparisons if max(each.ours.disturbed, each.theirs.disturbed) > limit]
    if not disturbed:
        return ""
    return f"Other programs took more than {limit:.0%} of the server's core during: {', '.join(disturbed)}."


def missed(comparisons: Sequence[Comparison]) -> list[str]:
    return [
        f"{each.scenario.label}: {each.ratio:.2f} of {each.scenario.target:g}"
        for each in comparisons
        if each.reached is False and each.scenario.target is not None
    ]


def as_json(comparisons: Sequence[Comparison], settings: Settings) -> str:
    found: dict[str, Any] = {
        "settings": {title: dict(facts) for title, facts in settings.items()},
        "scenarios": {each.scenario.name: {**asdict(each), "reached": each.reached} for each in comparisons},
    }
    return json.dumps(found, indent=2) + "\n"


def write_files(folder: Path, name: str, *, markdown: str, json_text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(markdown, encoding="utf-8")
    (folder / f"{name}.json").write_text(json_text, encoding="utf-8")


def _target(comparison: Comparison) -> str:
    if comparison.scenario.target is None:
        return ""
    return f"{comparison.scenario.target:g} {'reached' if comparison.reached else 'missed'}"


def _latency(figure: Figure) -> str:
    return f"{figure.p50_ms:.1f} / {figure.p99_ms:.1f}"
