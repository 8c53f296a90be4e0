"""`rocket serve` in a process that kills itself where it is told to: run as a program, never imported.

`DIE_AT` is `{before|within|after}:{number}`: at that transaction of the process's workers, counted from 1, which is
about to begin, about to commit, or has just committed. Without it the server is an ordinary one. The plugin `outside`
stands for the network: a delivery ends well by itself, in a job of its own.
"""

import os
import signal
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count

from rocket_kernel import ActionType, Job, Plugin, enqueue, hookimpl, kernel
from rocket_kernel.cli import main
from rocket_kernel.store.postgres_store import PostgresStore
from rocket_kernel.store.sqlite import SqliteStore
from rocket_workflows import WorkflowsPlugin, delivery, engine, plugin
from rocket_workflows.claims import Leases
from rocket_workflows.worker import Worker

at_work: ContextVar[bool] = ContextVar("at_work", default=False)
when, _, number = os.environ.get("DIE_AT", "never:0").partition(":")
begun = count(1)


def working(function):
    """Transactions inside the function count."""

    async def call(*args, **kwargs):
        token = at_work.set(True)
        try:
            return await function(*args, **kwargs)
        finally:
            at_work.reset(token)

    return call


def dying(write):
    """The store's `write`, which may be the last thing the process does."""

    @asynccontextmanager
    async def call(store):
        if not at_work.get():
            async with write(store) as tx:
                yield tx
            return
        dies = next(begun) == int(number)
        if dies and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        async with write(store) as tx:
            yield tx
            if dies and when == "within":
                os.kill(os.getpid(), signal.SIGKILL)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    return call


class Outside(Plugin):
    name = "outside"
    version = "1"

    @hookimpl
    def register_actions(self):
        return [ActionType("webhook", lambda definition, model: None, self.start)]

    @hookimpl
    def register_jobs(self):
        return [Job(name="outside:deliver", run=self.deliver, opens_apps=True, lease_s=1.0)]

    async def start(self, action):
        payload = {"then": action.then.job, **action.then.ended(ok=True, error=None, attempts=1)}
        await enqueue(action.session, "outside:deliver", payload, action.call.now)

    async def deliver(self, run):
        payload = dict(run.payload)
        async with run.app.writing() as (tx, _):
            await enqueue(tx, payload.pop("then"), payload, run.now)


Worker.run = working(Worker.run)
Leases.claim_due = working(Leases.claim_due)
engine.start_due = working(engine.start_due)
plugin.delivery_ended = working(delivery.delivery_ended)
SqliteStore.write = dying(SqliteStore.write)
PostgresStore.write = dying(PostgresStore.write)
kernel.installed_plugins = lambda enabled: [WorkflowsPlugin, Outside]

if __name__ == "__main__":
    main()
