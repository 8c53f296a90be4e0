"""How often a password may be tried: per account and address, over all processes (contract §10.1)."""

from __future__ import annotations

import asyncio

import pytest

from rocket_auth.tables import OF_APPS
from rocket_auth.testing import House, QuickAuth, bearer, build_house, login
from rocket_kernel import ConfigError
from rocket_kernel.testing import Client, FakeClock, StartKernel, assert_error

RIGHT, WRONG = "correct horse", "wrong horse"
ANN, BOB = "ann@example.com", "bob@example.com"
TOO_MANY = "Too many failed attempts, try again later"


async def failing(house: House, email: str, times: int) -> None:
    for _ in range(times):
        assert_error(await house.login(email, WRONG), 401, "UNAUTHORIZED", "Invalid email or password")


async def test_the_eleventh_attempt_is_refused_even_if_it_is_right(house):
    await house.user(ANN, password=RIGHT)
    await failing(house, ANN, 10)
    for password in (WRONG, RIGHT):
        refused = await house.login(ANN.upper(), password)
        assert_error(refused, 429, "RATE_LIMITED", TOO_MANY)
        assert refused.headers["Retry-After"] == "900"


async def test_unknown_accounts_are_counted_alike(house):
    for email in (BOB, "b" * 300 + "@example.com", "bob\x00@example.com"):
        await failing(house, email, 10)
        assert_error(await house.login(email, WRONG), 429, "RATE_LIMITED", TOO_MANY)


async def test_other_accounts_and_the_platform_go_on(house):
    await house.user(ANN, password=RIGHT)
    await failing(house, BOB, 10)
    assert (await house.login(ANN, RIGHT)).status == 200
    assert (await login(house.running.client, BOB, WRONG)).status == 401


async def test_failures_count_for_a_quarter_of_an_hour_each(house):
    await house.user(ANN, password=RIGHT)
    await failing(house, ANN, 4)
    house.clock.advance(minutes=5)
    await failing(house, ANN, 6)
    refused = await house.login(ANN, RIGHT)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "600")
    house.clock.advance(minutes=9, seconds=59.5)
    refused = await house.login(ANN, RIGHT)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    house.clock.advance(seconds=0.5)
    await failing(house, ANN, 4)
    assert (await house.login(ANN, RIGHT)).status == 429


async def test_success_clears_the_count(house):
    await house.user(ANN, password=RIGHT)
    for _ in range(3):
        await failing(house, ANN, 9)
        assert (await house.login(ANN, RIGHT)).status == 200


async def test_a_disabled_account_is_counted_too(house):
    await house.user(ANN, password=RIGHT)
    await house.change(ANN, active=False)
    for _ in range(10):
        assert_error(await house.login(ANN, RIGHT), 401, "UNAUTHORIZED", "Account is disabled")
    assert (await house.login(ANN, RIGHT)).status == 429


async def test_change_password_is_an_attempt_as_well(house):
    ann = await house.user(ANN, password=RIGHT)
    body = {"current_password": WRONG, "new_password": "battery staple"}
    for _ in range(5):
        assert (await ann.post("auth/change-password", body)).status == 422
    await failing(house, ANN, 5)
    refused = await ann.post("auth/change-password", {**body, "current_password": RIGHT})
    assert_error(refused, 429, "RATE_LIMITED", TOO_MANY)
    assert refused.headers["Retry-After"] == "900"
    assert (await ann.get("auth/me")).status == 200


async def test_settings_say_how_many_and_how_long(start_kernel: StartKernel, clock: FakeClock):
    settings = {"auth": {"rate_limit_attempts": 2, "rate_limit_window_s": 60}}
    house = await build_house(start_kernel, clock, settings=settings)
    await failing(house, BOB, 2)
    refused = await house.login(BOB, WRONG)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
    clock.advance(seconds=60)
    await failing(house, BOB, 2)


async def test_forwarded_addresses_count_from_trusted_proxies_only(start_kernel: StartKernel, clock: FakeClock):
    for trusted, status in ([], 429), (["127.0.0.0/8"], 401):
        name = "trusting" if trusted else "shop"
        running = await start_kernel([QuickAuth], settings={"auth": {"trusted_proxies": trusted}})
        platform = await login(running.client, "platform@localhost", "changeme")
        (
            await running.client.post(
                "/api/_platform/apps", {"name": name}, headers=bearer(platform.data["access_token"])
            )
        ).require(201)
        client = running.client.in_app(name)
        for number in range(10):
            sent = client.with_headers({"X-Forwarded-For": f"198.51.100.{number}"})
            assert (await login(sent, BOB, WRONG)).status == 401
        sent = client.with_headers({"X-Forwarded-For": "198.51.100.99"})
        assert (await login(sent, BOB, WRONG)).status == status


async def test_many_at_once_are_told_no_more_than_ten_times(house, start_kernel):
    """However many attempts are judged at the same time, in however many processes."""
    await house.user(ANN, password=RIGHT)
    other = await start_kernel([QuickAuth])
    doors = [house.stranger, Client(other.kernel, other.quart, "shop")]
    answers = await asyncio.gather(*(login(doors[number % 2], ANN, WRONG) for number in range(40)))
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 30
    assert (await house.login(ANN, RIGHT)).status == 429


async def test_many_right_ones_at_once_all_succeed(house, start_kernel):
    await house.user(ANN, password=RIGHT)
    other = await start_kernel([QuickAuth])
    doors = [house.stranger, Client(other.kernel, other.quart, "shop")]
    answers = await asyncio.gather(*(login(doors[number % 2], ANN, RIGHT) for number in range(24)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["refresh_token"] for answer in answers}) == 24


async def test_rows_that_count_no_longer_go(house):
    app = await house.running.kernel.apps.app("shop")

    async def rows() -> list[str]:
        async with app.reading() as (session, _registry):
            return [row["account"] for row in await OF_APPS.login_failures.select(session, order_by=("account",))]

    await failing(house, BOB, 1)
    await failing(house, "eve@example.com", 1)
    assert await rows() == [BOB, "eve@example.com"]
    house.clock.advance(minutes=16)
    await failing(house, ANN, 1)
    assert await rows() == [ANN]


@pytest.mark.parametrize("proxies", [["nowhere"], ["10.0.0.0/99"], ["::1/200"]])
async def test_a_proxy_that_is_no_address_stops_the_start(start_kernel: StartKernel, proxies):
    with pytest.raises(ConfigError, match=r"plugins\.settings\.auth\.trusted_proxies"):
        await start_kernel([QuickAuth], settings={"auth": {"trusted_proxies": proxies}})
