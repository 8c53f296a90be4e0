"""One course of requests with the steps it takes, which both databases answer with the same bytes."""

from rocket_kernel.testing import Actors, Scenario, transcript
from rocket_statemachines import StateMachinesPlugin

from .conftest import CLERK, INVOICE, MACHINE, MANAGER

STATES = ("statemachines:states",)
PATH = "_admin/state-machines"
SCENARIOS = [
    Scenario("define", "POST", "_admin/entities", INVOICE, status=201),
    Scenario("without a machine", "POST", "invoice", {"number": "0"}, status=201, steps=(), keep={"old": "data.id"}),
    Scenario("a machine", "POST", PATH, MACHINE, status=201, keep={"machine": "data.id"}),
    Scenario("a second one", "POST", PATH, MACHINE, status=409, error="CONFLICT"),
    Scenario("create", "POST", "invoice", {"total": "5000"}, status=201, steps=STATES, keep={"id": "data.id"}),
    Scenario("not so", "POST", "invoice", {"status": "void"}, status=422, error="VALIDATION_FAILED", steps=STATES),
    Scenario("an unknown state", "PUT", "invoice/{old}", {"status": "sent"}, status=422, contains=["from 'unset' to 'sent'"]),
    Scenario("where to", "GET", "invoice/{id}/_transitions", actor=CLERK, contains=["not permitted for your role"], steps=()),
    Scenario("a clerk", "PUT", "invoice/{id}", {"status": "void"}, status=403, error="FORBIDDEN", actor=CLERK),
    Scenario("a manager", "PUT", "invoice/{id}", {"status": "void"}, status=422, actor=MANAGER, contains=["blocked by guard"]),
    Scenario("cheaper", "PUT", "invoice/{id}", {"status": "void", "total": 7}, actor=MANAGER, steps=STATES,
             contains=['"status":"void","total":"7.00"']),
    Scenario("nowhere to", "GET", "invoice/{id}/_transitions", contains=['{"data":[]}']),
    Scenario("list", "GET", PATH),
    Scenario("diagram", "GET", f"{PATH}/{{machine}}/diagram", contains=["stateDiagram-v2"]),
    Scenario("export", "GET", "_admin/export", contains=['"state_machines":[{"entity":"invoice"']),
    Scenario("in use", "PUT", "_admin/entities/invoice", {**INVOICE, "fields": INVOICE["fields"][:2]}, status=422),
    Scenario("delete", "DELETE", "invoice/{id}", steps=()),
    Scenario("gone", "GET", "invoice/{id}/_transitions", status=404, error="NOT_FOUND"),
    Scenario("no machine", "DELETE", f"{PATH}/{{machine}}"),
    Scenario("free", "PUT", "invoice/{old}", {"status": "anything"}, steps=()),
]  # fmt: skip

seen: set[bytes] = set()


async def test_both_databases_answer_alike(start_kernel):
    client = await (await start_kernel([StateMachinesPlugin, Actors])).client.app("shop")
    seen.add(await transcript(client, SCENARIOS))
    assert len(seen) == 1
