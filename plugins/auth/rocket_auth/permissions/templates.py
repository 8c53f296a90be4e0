"""`{{user.…}}` in the values of conditions. Pure."""

from __future__ import annotations

from rocket_kernel import Actor

ROLES = "user.roles"

MARKS = {"user.id": "\ufdd0", "user.email": "\ufdd1"}
"""What stands for a template while a value is read: code points that are no characters, so that no text means them."""

_OPEN, _CLOSE = "{{", "}}"


class UnknownTemplate(ValueError):
    """Its text is the template as written."""


def mark(text: str) -> str:
    """The text with a mark in the place of every template. Raises UnknownTemplate, ValueError for a mark in the text.

    `{{user.roles}}` is unknown here: it is no part of a text but a value of its own, see `is_roles`.
    """
    if any(sign in text for sign in MARKS.values()):
        raise ValueError("not a character")
    head, *rest = text.split(_OPEN)
    parts = [head]
    for piece in rest:
        name, closed, tail = piece.partition(_CLOSE)
        if not closed:
            parts.append(_OPEN + piece)
        elif name.strip() in MARKS:
            parts.append(MARKS[name.strip()] + tail)
        else:
            raise UnknownTemplate(f"{_OPEN}{name}{_CLOSE}")
    return "".join(parts)


def is_roles(value: object) -> bool:
    """Whether a value is the template that stands for a list."""
    if not isinstance(value, str) or not (value.startswith(_OPEN) and value.endswith(_CLOSE)):
        return False
    return value[len(_OPEN) : -len(_CLOSE)].strip() == ROLES


def is_marked(text: str) -> bool:
    return any(sign in text for sign in MARKS.values())


def fill(text: str, actor: Actor) -> str:
    """A marked text for one caller. Raises LookupError when what it names is null or can be in no row."""
    values = {MARKS["user.id"]: actor.id, MARKS["user.email"]: actor.email}
    found: dict[int, str] = {}
    for sign, value in values.items():
        if sign in text:
            if value is None or "\x00" in value:
                raise LookupError("the caller has none that a row could hold")
            found[ord(sign)] = value
    return text.translate(found)


_EMAIL, _ROLES = "someone@example.com", frozenset({"role"})
SAMPLES = (
    Actor(id="00000000-0000-4000-8000-000000000000", email=_EMAIL, roles=_ROLES),
    Actor(id="2", email=_EMAIL, roles=_ROLES),
)
"""Callers by whom a definition is tried: a condition that can be asked of none of them is refused."""
