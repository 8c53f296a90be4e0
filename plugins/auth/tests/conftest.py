"""Fixtures of all tests of the plugin."""

from __future__ import annotations

import pytest

from rocket_auth.permissions.testing import Office, open_office
from rocket_auth.testing import House, build_house
from rocket_kernel.testing import FakeClock, StartKernel


@pytest.fixture
async def house(start_kernel: StartKernel, clock: FakeClock) -> House:
    return await build_house(start_kernel, clock)


@pytest.fixture
async def office(start_kernel: StartKernel) -> Office:
    return await open_office(start_kernel)
