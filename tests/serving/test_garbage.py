"""How often a serving process looks for garbage."""

from __future__ import annotations

import gc

from rocket_kernel.serving.application import build_application
from rocket_kernel.serving.garbage import look_seldom


async def test_what_stays_is_left_out_and_the_rest_is_looked_through_seldom():
    thresholds = gc.get_threshold()
    try:
        await look_seldom()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() > thresholds
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_servers_do_so_when_everything_is_there():
    assert "look_seldom" in build_application.__code__.co_names
