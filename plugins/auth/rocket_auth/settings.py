"""Settings of the plugin: contract §18.2, `settings.auth`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from rocket_kernel import NotEmpty, Range

_LONGEST_S = 10**9
Seconds = Annotated[int, Range(1, _LONGEST_S)]


@dataclass(frozen=True, slots=True)
class AuthSettings:
    access_token_s: Seconds = 900
    refresh_token_s: Seconds = 604_800
    invite_ttl_h: Annotated[int, Range(1, _LONGEST_S // 3600)] = 72
    rate_limit_attempts: Annotated[int, Range(1, 1000)] = 10
    """Failures of one account from one address after which further attempts are refused."""
    rate_limit_window_s: Seconds = 900
    trusted_proxies: tuple[Annotated[str, NotEmpty()], ...] = ()
    """Addresses or networks whose word on the client's address counts."""
