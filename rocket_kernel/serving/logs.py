"""Logging of a server: short lines on standard error."""

from __future__ import annotations

from logging.config import dictConfig
from typing import Any

_HANDLER = "stderr"


def log_settings() -> dict[str, Any]:
    """For `logging.config.dictConfig`: our own messages from INFO on, those of libraries from WARNING on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"short": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {_HANDLER: {"class": "logging.StreamHandler", "formatter": "short", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": [_HANDLER]},
        "loggers": {"rocket_kernel": {"level": "INFO"}},
    }


def configure_logging() -> None:
    dictConfig(log_settings())
