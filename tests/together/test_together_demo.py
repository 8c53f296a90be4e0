"""What `rocket demo` makes, on each database."""

from __future__ import annotations

import pytest

from rocket_auth.testing import signed_in
from rocket_kernel import StartupError
from rocket_kernel.demo.example import ADMIN, NAME, PEOPLE
from rocket_kernel.demo.furnish import first_passwords, furnish

PASSWORD = "of the demo"


async def test_demo_is_furnished_once(start_kernel, every_plugin):
    with first_passwords(PASSWORD):
        running = await start_kernel(every_plugin)
        await furnish(running.kernel, PASSWORD)
    assert [row["name"] for row in await running.kernel.apps.rows()] == [NAME]
    visitor = running.client.in_app(NAME)
    totals = {}
    for email, role in {**PEOPLE, ADMIN: "admin"}.items():
        person = await signed_in(visitor, email, PASSWORD)
        me = (await person.get("auth/me")).require(200).data
        assert (me["roles"], me["must_change_password"]) == ([role], False)
        totals[role] = (await person.get("ticket")).meta["total"]
    assert totals == {"customer": 2, "agent": 3, "lead": 3, "admin": 3}
    with pytest.raises(StartupError, match="there is an app helpdesk already"):
        await furnish(running.kernel, PASSWORD)


async def test_demo_that_fails_leaves_nothing(start_kernel, every_plugin):
    running = await start_kernel(every_plugin)
    with pytest.raises(StartupError, match="the demo cannot be prepared: Invalid email or password"):
        await furnish(running.kernel, "not the administrator's")
    assert await running.kernel.apps.rows() == []
