"""How many records a role may write in a window of time."""

from rocket_quota.plugin import QuotaPlugin

__all__ = ["QuotaPlugin"]
