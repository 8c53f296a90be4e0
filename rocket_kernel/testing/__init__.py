"""What plugin authors test with. See docs/testing.md.

Names are imported when they are first used: the pytest plugin lives in this package, and pytest imports it in every
run on a machine that has Rocket installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rocket_kernel.testing.actors import ADMIN as ADMIN
    from rocket_kernel.testing.actors import Actors as Actors
    from rocket_kernel.testing.actors import actor as actor
    from rocket_kernel.testing.assertions import assert_error as assert_error
    from rocket_kernel.testing.client import Answer as Answer
    from rocket_kernel.testing.client import Client as Client
    from rocket_kernel.testing.clock import FakeClock as FakeClock
    from rocket_kernel.testing.databases import Database as Database
    from rocket_kernel.testing.factories import entity as entity
    from rocket_kernel.testing.factories import many_to_many as many_to_many
    from rocket_kernel.testing.factories import one_to_many as one_to_many
    from rocket_kernel.testing.factories import one_to_one as one_to_one
    from rocket_kernel.testing.plugin_suite import PluginSuite as PluginSuite
    from rocket_kernel.testing.processes import Caller as Caller
    from rocket_kernel.testing.processes import Lost as Lost
    from rocket_kernel.testing.processes import NotSent as NotSent
    from rocket_kernel.testing.processes import ServerFailed as ServerFailed
    from rocket_kernel.testing.processes import ServerProcess as ServerProcess
    from rocket_kernel.testing.query_plans import query_plan as query_plan
    from rocket_kernel.testing.receiver import Received as Received
    from rocket_kernel.testing.receiver import Receiver as Receiver
    from rocket_kernel.testing.running import RunningKernel as RunningKernel
    from rocket_kernel.testing.running import StartKernel as StartKernel
    from rocket_kernel.testing.running import StartOnBoth as StartOnBoth
    from rocket_kernel.testing.running import run_kernel as run_kernel
    from rocket_kernel.testing.scenarios import Scenario as Scenario
    from rocket_kernel.testing.scenarios import assert_same_answers as assert_same_answers
    from rocket_kernel.testing.scenarios import run_scenario as run_scenario
    from rocket_kernel.testing.scenarios import run_scenarios as run_scenarios
    from rocket_kernel.testing.scenarios import transcript as transcript
    from rocket_kernel.testing.steps import StepRecorder as StepRecorder
    from rocket_kernel.testing.steps import StepRun as StepRun

_ROOMS = {
    "ADMIN": "actors",
    "Actors": "actors",
    "Answer": "client",
    "Caller": "processes",
    "Client": "client",
    "Database": "databases",
    "FakeClock": "clock",
    "Lost": "processes",
    "NotSent": "processes",
    "PluginSuite": "plugin_suite",
    "Received": "receiver",
    "Receiver": "receiver",
    "RunningKernel": "running",
    "Scenario": "scenarios",
    "ServerFailed": "processes",
    "ServerProcess": "processes",
    "StartKernel": "running",
    "StartOnBoth": "running",
    "StepRecorder": "steps",
    "StepRun": "steps",
    "actor": "actors",
    "assert_error": "assertions",
    "assert_same_answers": "scenarios",
    "entity": "factories",
    "many_to_many": "factories",
    "one_to_many": "factories",
    "one_to_one": "factories",
    "query_plan": "query_plans",
    "run_kernel": "running",
    "run_scenario": "scenarios",
    "run_scenarios": "scenarios",
    "transcript": "scenarios",
}


if not TYPE_CHECKING:  # else every misspelt name would be one of type Any

    def __getattr__(name: str) -> Any:
        if name not in _ROOMS:
            return import_module("rocket_kernel.deprecated").old_name(__name__, name)
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_ROOMS)
