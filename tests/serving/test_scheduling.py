"""Threads of a server let each other finish; who has chosen otherwise for the process keeps that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from psutil import Process

from rocket_kernel.serving.scheduling import work_in_batches

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policy")


def policies_of(pid):
    return {os.sched_getscheduler(int(thread.name)) for thread in Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_work_in_batches(serve, server_name, workers):
    server = serve("--server", server_name, "--workers", str(workers))
    parent = Process(server.process.pid)
    serving = parent.children() or [parent]
    assert len(serving) == workers
    for worker in serving:
        assert os.SCHED_BATCH in policies_of(worker.pid)
    if workers == 1:
        assert policies_of(serving[0].pid) == {os.SCHED_BATCH}


@pytest.mark.parametrize(("given", "then"), [("OTHER", "BATCH"), ("IDLE", "IDLE"), ("BATCH", "BATCH")])
def test_a_policy_that_was_chosen_stays(given, then):
    script = (
        f"import os; os.sched_setscheduler(0, os.SCHED_{given}, os.sched_param(0));"
        "from rocket_kernel.serving.scheduling import work_in_batches; work_in_batches();"
        "print(os.sched_getscheduler(0))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert int(done.stdout) == getattr(os, f"SCHED_{then}")


@pytest.mark.parametrize("call", ["sched_getscheduler", "sched_setscheduler"])
def test_a_sandbox_that_forbids_it_keeps_no_server_from_serving(monkeypatch, call):
    asked = []

    def forbidden(*arguments):
        asked.append(arguments)
        raise PermissionError

    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_OTHER)
    monkeypatch.setattr(os, call, forbidden)
    work_in_batches()
    assert len(asked) == 1
