"""A state machine as the text of a Mermaid diagram. Pure."""

from __future__ import annotations

from rocket_statemachines.machine import Machine, Transition

_PLAIN = frozenset(" _-./")


def mermaid(machine: Machine) -> str:
    """States get short names of their own, so that nothing a definition says is taken for Mermaid's own words."""
    listed = [machine.initial]
    for transition in machine.transitions:
        listed += [*transition.sources, transition.to]
    names = {state: f"s{number}" for number, state in enumerate(dict.fromkeys(listed))}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{_escaped(state)}" as {name}' for state, name in names.items()]
    lines.append(f"    [*] --> {names[machine.initial]}")
    left: set[str] = set()
    for transition in machine.transitions:
        left.update(transition.sources)
        for source in dict.fromkeys(transition.sources):
            lines.append(f"    {names[source]} --> {names[transition.to]}{_label(transition)}")
    lines += [f"    {name} --> [*]" for state, name in names.items() if state not in left]
    return "\n".join(lines) + "\n"


def _label(transition: Transition) -> str:
    parts = [", ".join(sorted(transition.roles))] if transition.roles else []
    if transition.guard is not None:
        parts.append(f"[{transition.guard.source}]")
    return f": {_escaped(' '.join(parts))}" if parts else ""


def _escaped(text: str) -> str:
    """Letters and digits of any script stay; all else becomes a character code, white space a space."""
    shown = []
    for character in text:
        if character.isalnum() or character in _PLAIN:
            shown.append(character)
        elif character.isspace() or not character.isprintable():
            shown.append(" ")
        else:
            shown.append(f"#{ord(character)};")
    return "".join(shown)
