"""Granian's workers hand on the first signal that tells them to stop, whenever and however often it comes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("granian")
uvloop = pytest.importorskip("uvloop")

from rocket_kernel.serving import granian_signals  # noqa: E402

STOPPING = (signal.SIGTERM, signal.SIGINT)
# The hook before ours stands for a process that is told before it has run at all. What the host holds back, here a
# signal without a name, stays so.
TOLD_BEFORE_IT_RUNS = """
import os, signal
from rocket_kernel.serving.granian_signals import heed_signals_in_workers

for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), {told}))
heed_signals_in_workers()
worker = os.fork()
if worker == 0:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os._exit(3 if held == {{40}} else 7)
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), *signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


class Counting:
    def __init__(self):
        self.times = 0

    def set(self):
        self.times += 1


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request):
    before = {each: signal.getsignal(each) for each in STOPPING}
    loop = request.param()
    yield loop
    for each in STOPPING:
        loop.remove_signal_handler(each)
    loop.close()
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def stop(loop, monkeypatch):
    monkeypatch.setattr(granian_signals, "WorkerSignal", Counting)
    return granian_signals._set_loop_signals(loop)


def tell(*signals):
    for each in signals:
        os.kill(os.getpid(), each)


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


async def told_while_running():
    tell(signal.SIGTERM, signal.SIGTERM)
    sum(range(3_000_000))
    tell(signal.SIGTERM)
    await turns()


def test_signals_before_between_and_in_runs_of_the_loop_are_one(loop, stop):
    tell(signal.SIGTERM)
    assert stop.times == 1
    loop.run_until_complete(turns())
    tell(signal.SIGTERM)
    loop.run_until_complete(told_while_running())
    assert stop.times == 1


def test_one_that_comes_while_the_loop_runs_is_handed_on(loop, stop):
    loop.run_until_complete(turns())
    assert stop.times == 0
    loop.run_until_complete(told_while_running())
    assert stop.times == 1


def test_interrupts_of_a_terminal_are_left_to_the_parent(loop, stop):
    tell(signal.SIGINT)
    loop.run_until_complete(turns())
    tell(signal.SIGINT)
    assert stop.times == 0


@pytest.mark.parametrize(("told", "ends"), [("signal.SIGTERM", -signal.SIGTERM), ("signal.SIGINT", 3)])
def test_a_worker_that_is_told_before_it_runs_keeps_no_handler_of_its_parent(told, ends):
    script = TOLD_BEFORE_IT_RUNS.format(told=told)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(int(ends)), "40"]
