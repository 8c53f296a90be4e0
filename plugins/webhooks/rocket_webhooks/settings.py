"""`plugins.settings.webhooks` of the configuration: contract §18.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rocket_kernel import ConfigError, Range
from rocket_webhooks.addresses import AddressGuard, parse_networks


@dataclass(frozen=True, slots=True)
class WebhooksSettings:
    allow_addresses: tuple[str, ...] = ()
    """Networks (CIDR) or single addresses that may be called although they are private."""
    env_prefix: str = "ROCKET_WEBHOOK_"
    """Headers may use environment variables whose names begin so."""
    timeout_s: Annotated[float, Range(0.1, 300)] = 30
    """For a whole request, from resolving the name to the end of the answer."""
    log_retention_days: Annotated[int, Range(1)] = 30
    """Age at which rows of deliveries that have ended are deleted."""


def address_guard(settings: WebhooksSettings) -> AddressGuard:
    """Raises ConfigError, which stops the start."""
    try:
        return AddressGuard(parse_networks(settings.allow_addresses))
    except ValueError as error:
        raise ConfigError(f"wrong value for plugins.settings.webhooks.allow_addresses: {error}") from error
