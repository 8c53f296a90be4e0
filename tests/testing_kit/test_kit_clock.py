from datetime import UTC, datetime, timedelta, timezone

import pytest

from rocket_kernel.testing import FakeClock
from rocket_kernel.testing.clock import START


def test_it_stands_still_until_it_is_moved():
    clock = FakeClock()
    assert clock.now() == clock.now() == START
    assert clock.advance(seconds=1.5) == START + timedelta(seconds=1.5) == clock.now()
    clock.advance(minutes=1, hours=1, days=1)
    assert clock.now() == START + timedelta(days=1, hours=1, minutes=1, seconds=1.5)
    clock.advance(days=-2)
    assert clock.now() < START


def test_it_shows_whole_milliseconds_in_utc():
    clock = FakeClock(datetime(2026, 5, 1, 12, 0, 0, 1999, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2026, 5, 1, 10, 0, 0, 1000, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    clock.advance(seconds=0.0019)
    assert clock.now().microsecond == 2000


def test_it_can_be_set():
    clock = FakeClock()
    clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    assert clock.now().year == 2030
    with pytest.raises(ValueError, match="time zone"):
        clock.set(datetime(2030, 1, 1))  # noqa: DTZ001
