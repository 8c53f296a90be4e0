"""E-mail addresses, roles and rows of users: what they may be, and how they are shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rocket_kernel import InvalidPayload, ValidationFailed

LONGEST_EMAIL = 254
"""RFC 5321 lets no longer one through."""

_SHOWN = ("id", "email", "roles", "active", "must_change_password", "created_at", "updated_at")


def normal_email(text: str) -> str:
    """The form in which addresses are stored and compared."""
    return text.strip().lower()


def is_email(email: str) -> bool:
    """Whether a normal e-mail looks like one; only a letter that arrives would prove it."""
    local, at, domain = email.rpartition("@")
    return bool(
        at
        and local
        and domain
        and "@" not in local
        and email.isprintable()
        and not any(character.isspace() for character in email)
        and len(email.encode()) <= LONGEST_EMAIL
    )


def read_email(value: object) -> str:
    """Raises ValidationFailed, and InvalidPayload for U+0000."""
    if value is None or value == "" or not isinstance(value, str) or not value.strip():
        raise ValidationFailed("email is required")
    email = normal_email(storable(value))
    if not is_email(email):
        raise ValidationFailed("email is not valid")
    return email


def read_roles(value: object) -> list[str]:
    """Raises ValidationFailed, and InvalidPayload for U+0000."""
    if not isinstance(value, list) or not all(isinstance(role, str) for role in value):
        raise ValidationFailed("roles must be a list of strings")
    return [storable(role) for role in value]


def storable(text: str) -> str:
    """Raises InvalidPayload for what no database takes (contract §2.3)."""
    if "\x00" in text:
        raise InvalidPayload
    return text


def read_id(text: str) -> str | None:
    """The canonical form of a UUID as paths and tokens bear it; None for anything else."""
    if len(text) != 36:
        return None
    try:
        found = str(UUID(text))
    except ValueError:
        return None
    return found if found == text.lower() else None


def role_set(roles: Sequence[str]) -> frozenset[str]:
    """Roles as they compare."""
    return frozenset(role.lower() for role in roles)


def shown_user(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN}
