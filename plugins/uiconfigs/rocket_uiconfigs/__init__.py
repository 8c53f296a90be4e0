"""What clients keep about how they show an app. The server stores it and never interprets it."""

from rocket_uiconfigs.plugin import UiConfigsPlugin

__all__ = ["UiConfigsPlugin"]
