"""Who calls, and what they may do: users, tokens, invites and permissions."""

from rocket_auth.plugin import AuthPlugin

__all__ = ["AuthPlugin"]
