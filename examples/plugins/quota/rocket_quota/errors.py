from __future__ import annotations

from rocket_kernel import RateLimited


class QuotaExceeded(RateLimited):
    code = "QUOTA_EXCEEDED"
    default_message = "Write quota used up"
