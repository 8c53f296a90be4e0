"""What happens in an app: events and traces, the history of records, metrics."""

from rocket_instrumentation.plugin import InstrumentationPlugin

__all__ = ["InstrumentationPlugin"]
