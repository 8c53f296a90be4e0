"""Assertions on answers that say what came instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocket_kernel.testing.client import Answer

_ENVELOPE = ("code", "message", "details")


def assert_error(
    answer: Answer,
    status: int,
    code: str,
    message: str | None = None,
    details: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """The answer is the error envelope of the contract (§2.2), with this status and code.

    `message` and `details` are compared whole when given; `details=[]` asserts that there are none.
    """
    assert answer.status == status, f"expected {status} {code}, got {answer}"
    assert answer.headers.get("Content-Type") == "application/json; charset=utf-8", f"not JSON: {answer}"
    assert set(answer.json) == {"error"}, f"more than an error: {answer}"
    error = answer.error
    assert set(error) <= set(_ENVELOPE), f"unknown members in the error: {answer}"
    assert error.get("code") == code, f"expected the code {code}, got {answer}"
    assert isinstance(error.get("message"), str), f"an error needs a message: {answer}"
    assert error["message"], f"an error needs a message: {answer}"
    assert error.get("details", ["left out"]), f"empty details must be left out: {answer}"
    if message is not None:
        assert error["message"] == message, f"expected the message {message!r}, got {answer}"
    if details is not None:
        assert error.get("details", []) == [dict(detail) for detail in details], f"other details: {answer}"
