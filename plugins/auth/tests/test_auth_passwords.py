"""Hashing: how much of it at a time, and that nobody can tell accounts apart by the time it takes."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import bcrypt
import pytest

from rocket_auth import AuthPlugin
from rocket_auth.passwords import COST, Hasher, Passwords, require_allowed
from rocket_auth.testing import QuickAuth, build_house, signed_in
from rocket_kernel import TableRows, Unavailable, ValidationFailed
from rocket_kernel.testing import assert_error


class Counting:
    """Stands for bcrypt, and notes the cost of each call."""

    def __init__(self, monkeypatch):
        self.costs: list[int] = []
        self.running = self.most = 0
        check = bcrypt.checkpw

        def checkpw(password, hashed):
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                self.costs.append(int(hashed.split(b"$")[2]))
                return check(password, hashed)
            finally:
                self.running -= 1

        monkeypatch.setattr(bcrypt, "checkpw", checkpw)


async def test_every_outcome_of_a_login_hashes_once_at_the_same_cost(house, monkeypatch):
    await house.user("ann@example.com", password="correct horse")
    await house.user("off@example.com", password="correct horse")
    await house.change("off@example.com", active=False)
    counting = Counting(monkeypatch)
    for email, password in (
        ("ann@example.com", "correct horse"),
        ("ann@example.com", "wrong horse"),
        ("ann@example.com", "x" * 73),
        ("ann@example.com", "\x00"),
        ("off@example.com", "correct horse"),
        ("off@example.com", "wrong horse"),
        ("nobody@example.com", "correct horse"),
        ("n" * 300, "correct horse"),
    ):
        counting.costs.clear()
        await house.login(email, password)
        assert counting.costs == [QuickAuth.hash_cost], email


async def test_every_failure_of_a_login_runs_the_same_statements(house, monkeypatch):
    await house.user("ann@example.com", password="correct horse")
    await house.user("off@example.com", password="correct horse")
    await house.change("off@example.com", active=False)
    builds: list[str] = []
    for name in ("_insert", "select", "update", "delete"):
        original = getattr(TableRows, name)

        def noting(self, *arguments, _original=original, _name=name, **options):
            builds.append(f"{_name} {self.table.name}")
            return _original(self, *arguments, **options)

        monkeypatch.setattr(TableRows, name, noting)
    seen = []
    await house.login("first@example.com", "wrong horse")  # after which old rows are not looked for again
    for email, password in (
        ("ann@example.com", "wrong horse"),
        ("off@example.com", "correct horse"),
        ("nobody@example.com", "wrong horse"),
    ):
        builds.clear()
        await house.login(email, password)
        seen.append(list(builds))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]


async def test_hashing_is_bounded_and_leaves_the_loop_free(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    passwords = Passwords(cost=8)
    counting = Counting(monkeypatch)
    stored = await passwords.hash("correct horse")
    turns = 0

    async def spin():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spin())
    answers = await asyncio.gather(*(passwords.matches("correct horse", stored) for _ in range(12)))
    spinning.cancel()
    assert answers == [True] * 12
    assert counting.most <= 2
    assert turns > 100


async def test_who_waits_too_long_is_told_so(monkeypatch):
    monkeypatch.setattr("rocket_auth.passwords.WAIT_LIMIT_S", 0.01)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    passwords = Passwords(cost=4)
    async with passwords.place():
        with pytest.raises(Unavailable) as refused:
            await passwords.matches("correct horse", None)
    assert refused.value.status == 503
    assert await passwords.matches("correct horse", None) is False


async def test_a_login_that_waits_too_long_is_503_and_no_failure(start_kernel, clock, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    house = await build_house(start_kernel, clock, settings={"auth": {"rate_limit_attempts": 1}})
    plugin = house.running.kernel.parts.plugins.find("auth")
    monkeypatch.setattr("rocket_auth.passwords.WAIT_LIMIT_S", 0.01)
    async with plugin.passwords.place():
        refused = await house.login("admin@localhost", "changeme")
    assert_error(refused, 503, "UNAVAILABLE")
    assert refused.headers["Retry-After"].isdigit()
    monkeypatch.setattr("rocket_auth.passwords.WAIT_LIMIT_S", 30)
    assert (await house.login("admin@localhost", "changeme")).status == 200


def test_the_cost_that_servers_use():
    assert COST == 12


async def test_what_can_be_nobodys_password_matches_nothing():
    hasher = Hasher(4, Passwords(4)._decoy)
    stored = await hasher.hash("x" * 72)
    assert await hasher.matches("x" * 72, stored)
    for password in ("x" * 73, "x" * 71, "x" * 72 + "\x00", "\ud800", ""):
        assert not await hasher.matches(password, stored)
    question = await hasher.hash("a?b?c?d?")
    assert not await hasher.matches("a\x00b\x00c\x00d\x00", question)
    assert not await hasher.matches("x" * 72, None)


@pytest.mark.parametrize("password", ["x" * 8, "x" * 72, "ü" * 4, "ü" * 36, "🐎🐎", "        "])
def test_passwords_that_are_allowed(password):
    assert require_allowed(password) == password


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * 73, "ü" * 37, "🐎" * 19, "eight \x00 bytes"])
def test_passwords_that_are_not(password):
    with pytest.raises(ValidationFailed, match=r"^password must be 8 to 72 bytes$"):
        require_allowed(password)


@pytest.mark.torture
async def test_unknown_and_known_accounts_take_the_same_time(start_kernel, clock):
    """At the cost of servers; the medians are within five in a hundred.

    Measured in processor time, which others on the machine do not disturb: no outcome waits for anything else.
    """
    settings = {"auth": {"rate_limit_attempts": 1000}}
    running = await start_kernel([AuthPlugin], settings=settings)
    platform = await signed_in(running.client, "platform@localhost", "changeme")
    await platform.post("/api/_platform/apps", {"name": "shop"})
    admin = await signed_in(running.client.in_app("shop"), "admin@localhost", "changeme")
    off = {"email": "off@example.com", "password": "correct horse", "active": False}
    (await admin.post("_admin/users", off)).require(201)
    shop = running.client.in_app("shop")
    kinds = {
        "unknown": ("nobody@example.com", "wrong horse"),
        "wrong": ("admin@localhost", "wrong horse"),
        "disabled": ("off@example.com", "correct horse"),
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(20):
        for kind, (email, password) in kinds.items():
            began = time.process_time()
            answer = await shop.post("auth/login", {"email": email, "password": password})
            times[kind].append(time.process_time() - began)
            assert answer.status == 401
    medians = {kind: median(found) for kind, found in times.items()}
    assert max(medians.values()) / min(medians.values()) < 1.05, medians
