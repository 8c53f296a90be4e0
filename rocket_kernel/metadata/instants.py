"""Reading dates and times as clients write them, without a pattern engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from rocket_kernel.clock import timestamp_text

_LONGEST = 48


def parse_timestamp(text: str) -> str:
    """ISO 8601 -> `YYYY-MM-DDTHH:MM:SS.mmmZ`; no zone is UTC, a date alone is midnight. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError("too long for a timestamp")
    day = _read_date(text)
    rest = text[10:]
    if not rest:
        return f"{day.isoformat()}T00:00:00.000Z"
    if rest[0] not in "T ":
        raise ValueError("no time after the date")
    clock, zone = _split_zone(rest[1:])
    hour, minute, second, millisecond = _read_clock(clock)
    instant = datetime(day.year, day.month, day.day, hour, minute, second, millisecond * 1000, tzinfo=UTC)
    try:
        return timestamp_text(instant - _read_zone(zone))
    except OverflowError as error:
        raise ValueError("outside the years 0001 to 9999") from error


def parse_date(text: str) -> str:
    """A date, or a timestamp of which the date as written counts -> `YYYY-MM-DD`. Raises ValueError."""
    if len(text) > 10:
        parse_timestamp(text)
    return _read_date(text).isoformat()


def _number(text: str, *, digits: int) -> int:
    if len(text) != digits or not (text.isascii() and text.isdigit()):
        raise ValueError("digits expected")
    return int(text)


def _read_date(text: str) -> date:
    if len(text) < 10 or text[4] != "-" or text[7] != "-":
        raise ValueError("YYYY-MM-DD expected")
    return date(_number(text[:4], digits=4), _number(text[5:7], digits=2), _number(text[8:10], digits=2))


def _split_zone(text: str) -> tuple[str, str]:
    if text.endswith(("Z", "z")):
        return text[:-1], ""
    for mark in "+-":
        clock, sign, zone = text.partition(mark)
        if sign:
            return clock, sign + zone
    return text, ""


def _read_clock(text: str) -> tuple[int, int, int, int]:
    if len(text) < 5 or text[2] != ":":
        raise ValueError("HH:MM expected")
    hour, minute = _number(text[:2], digits=2), _number(text[3:5], digits=2)
    if len(text) == 5:
        return hour, minute, 0, 0
    if len(text) < 8 or text[5] != ":":
        raise ValueError("HH:MM:SS expected")
    second = _number(text[6:8], digits=2)
    if len(text) == 8:
        return hour, minute, second, 0
    fraction = text[9:]
    if text[8] != "." or not (fraction.isascii() and fraction.isdigit()):
        raise ValueError("fraction expected")
    return hour, minute, second, int(fraction[:3].ljust(3, "0"))


def _read_zone(text: str) -> timedelta:
    if not text:
        return timedelta(0)
    hours = _number(text[1:3], digits=2)
    minutes = 0
    if len(text) > 3:
        minutes = _number(text[4:] if text[3] == ":" else text[3:], digits=2)
    if hours > 23 or minutes > 59:
        raise ValueError("zone out of range")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if text[0] == "-" else offset
