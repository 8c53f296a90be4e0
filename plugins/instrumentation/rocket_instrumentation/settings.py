"""What the configuration says under `plugins.settings.instrumentation`; the section `instrumentation` is the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from rocket_kernel import Range


@dataclass(frozen=True, slots=True)
class InstrumentationSettings:
    otlp_endpoint: str = ""
    """Where spans are exported to by OTLP over HTTP; "" exports none."""
    access_log: Literal["off", "json", "text"] = "off"
    """Whether each request gets a line on standard output, and in which form."""
    audit_retention_days: Annotated[int, Range(0)] = 0
    """For how long the audit history is kept; 0 is for ever."""
