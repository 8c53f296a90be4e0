"""The action `webhook` that state machines and workflows carry out: contract §8.3 and §9.1."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from rocket_kernel import (
    ActionStart,
    Job,
    JobRun,
    Plugin,
    Stage,
    Step,
    Then,
    ValidationFailed,
    hookimpl,
    require_action,
)
from rocket_webhooks.actions import webhook_action


class Machine(Plugin):
    """Starts a webhook whenever an item is written, as the class says, and hears of its end."""

    name = "machine"
    version = "1"
    definition: ClassVar[dict[str, Any]] = {}
    key: ClassVar[str | None] = None
    then: ClassVar[Then | None] = None
    ends: ClassVar[list[Any]] = []

    @hookimpl
    def register_jobs(self) -> list[Job]:
        return [Job(name="machine:ended", run=self._ended)]

    async def _ended(self, run: JobRun) -> None:
        Machine.ends.append(dict(run.payload))

    @hookimpl
    def compile_write_steps(self, entity: Any, model: Any) -> list[Step]:
        action = require_action("webhook", model)
        action.check(self.definition, model)

        async def start(write: Any) -> None:
            await action.start(
                ActionStart(
                    definition=self.definition,
                    body=write.record,
                    entity=entity.name,
                    record_id=str(write.key),
                    hook="state_machine",
                    session=write.run.session,
                    registry=write.run.registry,
                    call=write.run.call,
                    idempotency_key=self.key,
                    then=self.then,
                    run=write.run,
                )
            )

        return [Step(Stage.OUTBOX, "machine:start", start)]


@pytest.fixture
async def acting(start_shop: Any, receiver: Any) -> Any:
    Machine.ends.clear()
    Machine.key, Machine.then = None, None
    Machine.definition = {"type": "webhook", "url": f"{receiver.url}/act"}
    return await start_shop((Machine,))


async def test_the_stored_record_goes_out_unsigned(acting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROCKET_WEBHOOK_TOKEN", "t0ken")
    Machine.definition |= {"method": "PUT", "headers": {"X-Token": "{{env.ROCKET_WEBHOOK_TOKEN}}"}}
    item = await acting.client.create("item", {"name": "bolt"})
    pending = await acting.log()
    assert await acting.deliver() == 1
    (received,) = acting.receiver.requests
    assert (received.method, received.path, received.json) == ("PUT", "/act", item)
    assert (received.headers["x-token"], "webhook-signature" in received.headers) == ("t0ken", False)
    assert received.headers["webhook-id"] == pending["idempotency_key"]
    log = await acting.log()
    assert (log["webhook_id"], log["hook"], log["entity"]) == (None, "state_machine", "item")
    assert (log["status"], log["request_headers"]["X-Token"]) == ("delivered", "***")


async def test_retries_of_its_own(acting: Any) -> None:
    Machine.definition |= {"retry": {"max_attempts": 2, "backoff": "linear"}}
    acting.receiver.answer(status=500, times=2)
    await acting.client.create("item", {"name": "bolt"})
    await acting.deliver()
    assert (await acting.log())["next_retry_at"] == "2026-01-02T03:04:35.678Z"
    acting.clock.advance(seconds=30)
    await acting.deliver()
    log = await acting.log()
    assert (log["status"], log["attempt"]) == ("failed", 2)
    retried = (await acting.client.post(f"_admin/webhook-logs/{log['id']}/retry")).require(200).data
    assert (retried["webhook_id"], retried["max_attempts"]) == (None, 3)
    assert await acting.deliver() == 1
    assert (await acting.log())["status"] == "delivered"


@pytest.mark.parametrize("status", [200, 500])
async def test_whoever_started_it_learns_of_the_end(acting: Any, status: int) -> None:
    Machine.key, Machine.then = "wf_1:step:0", Then("machine:ended", {"instance": "7"})
    acting.receiver.answer(status=500)
    acting.receiver.answer(status=status, times=None)
    await acting.client.create("item", {"name": "bolt"})
    await acting.deliver()
    await acting.running.kernel.jobs.run_due()
    assert Machine.ends == []
    for _ in range(2):
        acting.clock.advance(seconds=61)
        await acting.deliver()
        await acting.running.kernel.jobs.run_due()
    ok = status == 200
    await acting.running.kernel.jobs.run_due()
    outcome = {"ok": ok, "error": None if ok else "HTTP 500", "attempts": 2 if ok else 3}
    assert Machine.ends == [{"instance": "7", "outcome": outcome}]
    assert {received.headers["webhook-id"] for received in acting.receiver.requests} == {"wf_1:step:0"}


async def test_one_key_is_one_delivery(acting: Any) -> None:
    """An action that is carried out again after a crash does not call a second time."""
    Machine.key = "wf_1:step:0"
    await acting.client.create("item", {"name": "bolt"})
    await acting.client.create("item", {"name": "nut"})
    assert (len(await acting.logs()), await acting.deliver()) == (1, 1)


@pytest.mark.parametrize("mended_by", ["the action", "the log"])
async def test_an_action_that_failed_may_be_started_again_under_its_key(acting: Any, mended_by: str) -> None:
    """It is the same delivery to the receiver, and whoever started it learns of the end once more."""
    Machine.key, Machine.then = "wf_1:step:0", Then("machine:ended", {"instance": "7"})
    Machine.definition |= {"retry": {"max_attempts": 1}}
    acting.receiver.answer(status=500)
    await acting.client.create("item", {"name": "bolt"})
    await acting.deliver()
    if mended_by == "the log":
        log = await acting.log()
        (await acting.client.post(f"_admin/webhook-logs/{log['id']}/retry")).require(200)
        await acting.deliver()
    await acting.running.kernel.jobs.run_due()
    Machine.ends.clear()
    await acting.client.create("item", {"name": "nut"})
    assert await acting.deliver() == (0 if mended_by == "the log" else 1)
    await acting.running.kernel.jobs.run_due()
    assert Machine.ends == [{"instance": "7", "outcome": {"ok": True, "error": None, "attempts": 2}}]
    assert [received.headers["webhook-id"] for received in acting.receiver.requests] == ["wf_1:step:0"] * 2
    assert len(await acting.logs()) == 1


async def test_nothing_goes_out_of_a_write_that_fails(acting: Any) -> None:
    explained = (await acting.client.post("item?explain=true", {"name": "bolt"})).require(200).data
    assert [entry["hook"] for entry in explained["outbox"]] == ["state_machine"]
    assert (await acting.logs(), await acting.deliver()) == ([], 0)


async def test_it_is_prompt_when_it_belongs_to_a_write(start_shop: Any, receiver: Any) -> None:
    from rocket_kernel.clock import SystemClock

    Machine.key, Machine.then = None, None
    Machine.definition = {"type": "webhook", "url": f"{receiver.url}/act"}
    shop = await start_shop((Machine,), own_pace=True, clock=SystemClock())
    shop.dispatcher.tick_s = 60.0
    await shop.client.create("item", {"name": "bolt"})
    await receiver.wait_for(1)


@pytest.mark.parametrize(
    ("definition", "path", "message"),
    [
        ({}, "url", "url is required"),
        ({"url": "gopher://x"}, "url", "url must start with http:// or https://"),
        ({"url": "http://a:b@x/"}, "url", "url must not contain user info"),
        ({"url": "http://x", "method": "TRACE"}, "method", "method must be POST, PUT, PATCH, GET, or DELETE"),
        (
            {"url": "http://x", "headers": {"X": "{{env.HOME}}"}},
            "headers.X",
            "environment variable 'HOME' is not allowed",
        ),
        ({"url": "http://x", "headers": {"Host": "y"}}, "headers.Host", "header 'Host' is reserved"),
        ({"url": "http://x", "headers": 7}, "headers", "headers must be an object of strings"),
        (
            {"url": "http://x", "retry": {"max_attempts": 99}},
            "retry.max_attempts",
            "retry.max_attempts must be an integer from 1 to 20",
        ),
    ],
)
def test_definitions_that_are_wrong(definition: Any, path: str, message: str) -> None:
    action = webhook_action("ROCKET_WEBHOOK_", lambda _app, _lanes: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(ValidationFailed) as refused:
        action.check(definition, None)  # type: ignore[arg-type]
    assert (refused.value.message, refused.value.details[0].field) == (message, path)
