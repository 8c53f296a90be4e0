"""Settings of the plugin, under `plugins.settings.files`. Where files are kept is in the section `storage`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rocket_kernel import Range

LONGEST_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class FilesSettings:
    signed_url_ttl_s: Annotated[int, Range(1, LONGEST_TTL_S)] = 300
    delete_unreferenced_days: Annotated[int, Range(0)] = 0
    """0 keeps files that no record refers to for ever."""
