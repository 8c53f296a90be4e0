"""What expressions can ask about quotas.

Functions are pure: they know the settings, and nothing of what has been used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Function
from rocket_quota.settings import QuotaSettings


def quota_limit(settings: QuotaSettings) -> Function:
    """`quota_limit(user)`: records in a window for somebody with these roles, null without a limit."""

    def limit(user: Any) -> int | None:
        if user is None:
            return None
        roles = user.get("roles") if isinstance(user, Mapping) else None
        if not isinstance(roles, tuple):
            raise ValueError("a user with roles expected")
        return settings.limit_for(frozenset(str(role).lower() for role in roles))

    return Function(name="quota_limit", call=limit, least=1, most=1)
