"""Diagrams: a workflow as a Mermaid flow chart, with the path that an instance has taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rocket_workflows.definition import ActionStep, ApprovalStep, ConditionStep, Step, WaitStep, Workflow
from rocket_workflows.goto import END
from rocket_workflows.instance import FAILED, RUNNING

_END_NODE = "finish"
_SHAPES = {
    ActionStep: ('["', '"]'),
    ConditionStep: ('{"', '"}'),
    ApprovalStep: ('(["', '"])'),
    WaitStep: ('(("', '"))'),
}
_STYLES = (
    "classDef done fill:#d5f5d5,stroke:#2e7d32",
    "classDef current fill:#fff3c4,stroke:#b7791f,stroke-width:3px",
    "classDef failed fill:#fbd5d5,stroke:#c53030,stroke-width:3px",
)
_LABELS = {
    "completed": "",
    "on_true": "true",
    "on_false": "false",
    "approved": "approved",
    "rejected": "rejected",
    "timed_out": "timed out",
}


def workflow_diagram(workflow: Workflow, row: Mapping[str, Any] | None) -> str:
    """The definition; with an instance's row, its steps and ways taken stand out."""
    nodes = {id: f"s{number}" for number, id in enumerate(workflow.steps)} | {END: _END_NODE}
    taken = set() if row is None else set(_way(workflow, row))
    lines = ["flowchart TD", f"    start((start)) --> {nodes[workflow.first]}"]
    thick = [0] if row is not None else []
    for step in workflow.steps.values():
        before, after = _SHAPES[type(step)]
        lines.append(f"    {nodes[step.id]}{before}{_escaped(step.id)}{after}")
    lines.append(f"    {_END_NODE}((end))")
    number = 1
    for step in workflow.steps.values():
        for status, target in exits(step):
            label = _LABELS[status]
            arrow = f"-->|{label}|" if label else "-->"
            lines.append(f"    {nodes[step.id]} {arrow} {nodes[target]}")
            if (step.id, status) in taken:
                thick.append(number)
            number += 1
    if row is not None:
        lines += _marks(row, nodes, taken, thick)
    return "\n".join(lines) + "\n"


def exits(step: Step) -> Iterator[tuple[str, str]]:
    """History status and target of each way out of a step."""
    match step:
        case ActionStep() | WaitStep():
            yield "completed", step.then
        case ConditionStep():
            yield "on_true", step.on_true
            yield "on_false", step.on_false
        case ApprovalStep():
            yield "approved", step.on_approve
            yield "rejected", step.on_reject
            if step.on_timeout is not None:
                yield "timed_out", step.on_timeout


def _way(workflow: Workflow, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    ways = {(step.id, status) for step in workflow.steps.values() for status, _ in exits(step)}
    for note in row["history"]:
        if (note["step"], note["status"]) in ways:
            yield note["step"], note["status"]


def _marks(
    row: Mapping[str, Any], nodes: Mapping[str, str], taken: set[tuple[str, str]], thick: list[int]
) -> Iterator[str]:
    yield from (f"    {style}" for style in _STYLES)
    done = [nodes[id] for id in nodes if any(step == id for step, _ in taken) and id != row["current_step"]]
    if row["status"] == "completed":
        done.append(_END_NODE)
    if done:
        yield f"    class {','.join(done)} done"
    mark = {RUNNING: "current", FAILED: "failed"}.get(row["status"])
    if mark is not None and row["current_step"] in nodes:
        yield f"    class {nodes[row['current_step']]} {mark}"
    yield f"    linkStyle {','.join(map(str, thick))} stroke:#2e7d32,stroke-width:3px"


def _escaped(text: str) -> str:
    """A step's id as the text of a node: Mermaid reads entities, and nothing a client writes may end the text."""
    kept = (character if character.isalnum() or character in " _-.,:/" else f"#{ord(character)};" for character in text)
    return "".join(kept)
