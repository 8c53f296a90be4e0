"""Error codes of the plugin's own."""

from __future__ import annotations

from rocket_kernel import NotFound, PayloadTooLarge, RocketError


class FileTooLarge(PayloadTooLarge):
    code = "FILE_TOO_LARGE"

    def __init__(self, size: int, limit: int) -> None:
        RocketError.__init__(self, f"File too large: {size} bytes (max {limit})")


def file_not_found(id: str) -> NotFound:
    """The one answer for files that are not there and for those the caller may not read."""
    return NotFound(f"File {id} not found")
