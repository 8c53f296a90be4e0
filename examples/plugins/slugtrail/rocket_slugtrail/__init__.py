"""Old slugs go on working: whoever asks for one is sent to the record that had it."""

from rocket_slugtrail.plugin import SlugtrailPlugin

__all__ = ["SlugtrailPlugin"]
