"""What schemathesis makes of the document is asked of both databases: no 500, no answer outside its schema."""

import re
from collections import Counter

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ORIGIN = "http://127.0.0.1"
BASE = f"{ORIGIN}/api/shop"
UNTOUCHED = {"DELETE", "PUT", "PATCH"}
"""Methods that are not pointed at records that are there: the rest needs them."""


def cases_of(document, *, examples, drawn):
    """For each operation as many requests as asked for, drawn from its schemas."""
    found = []
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        found.extend((operation.label, case) for case in _drawn(operation, examples, drawn))
    return found


def _drawn(operation, examples, drawn):
    cases = []

    @seed(drawn)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def keep(case):
        cases.append(case)

    keep()
    return cases


def request_of(case, client):
    """As the case goes over the wire."""
    sent = requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare()
    headers = {**sent.headers, **client.headers}
    return httpx.Request(sent.method, sent.url, headers=headers, content=sent.body or b"")


def point_at_known(case, ids, number):
    """Every second request with an id names a record that is there: otherwise hardly any would."""
    entity = re.match(r"/(\w+)/\{id\}", case.operation.path)
    if entity and entity[1] in ids and number % 2 == 0 and case.method not in UNTOUCHED:
        case.path_parameters["id"] = ids[entity[1]]


async def ask(cases, shops, clients, ids):
    """How often each status came; whatever is wrong fails."""
    statuses, faults = Counter(), []
    transports = [httpx.ASGITransport(app=shop.running.quart) for shop in shops]
    for number, (label, case) in enumerate(cases):
        point_at_known(case, ids, number)
        answers = []
        for transport, client in zip(transports, clients, strict=True):
            request = request_of(case, client)
            async with httpx.AsyncClient(transport=transport, trust_env=False) as sender:
                answer = await sender.send(request)
            answers.append(answer.status_code)
            statuses[answer.status_code] += 1
            if answer.status_code == 500:
                faults.append(f"{label}: 500 to {request.url} {request.content[:500]!r}")
            try:
                case.validate_response(answer, checks=CHECKS)
            except BaseExceptionGroup as group:
                faults.append(f"{label}: {answer.status_code} {group.exceptions[0]}")
        if answers[0] != answers[1]:
            faults.append(f"{label}: {answers} {request.url} {request.content[:500]!r}")
    assert faults == [], "\n\n".join([f"{len(faults)} faults of {len(cases)} requests", *faults[:5]])
    return statuses


async def run(both_shops, known_ids, *, examples, drawn=1):
    seen = Counter()
    for roles in (None, ("clerk",)):
        clients = [shop.admin if roles is None else await shop.user(*roles) for shop in both_shops]
        document = await both_shops[0].described(clients[0])
        assert document == await both_shops[1].described(clients[1])
        seen += await ask(cases_of(document, examples=examples, drawn=drawn), both_shops, clients, known_ids)
    return seen


async def test_answers_are_as_described(both_shops, known_ids):
    seen = await run(both_shops, known_ids, examples=2)
    assert seen[200] > 80
    assert {201, 400, 404, 422} <= set(seen)


@pytest.mark.torture
@pytest.mark.parametrize("drawn", range(3))
async def test_many_answers_are_as_described(both_shops, known_ids, drawn):
    seen = await run(both_shops, known_ids, examples=25, drawn=100 + drawn)
    assert seen[200] > 800


async def test_an_answer_outside_its_schema_is_noticed(both_shops, known_ids):
    """The test of the tests: a document that promises a field no record has."""
    document = await both_shops[0].described(both_shops[0].admin)
    document["components"]["schemas"]["tag"]["required"].append("price")
    document["components"]["schemas"]["tag.selected"]["required"].append("price")
    document["paths"] = {path: item for path, item in document["paths"].items() if path == "/tag"}
    admins = [shop.admin for shop in both_shops]
    with pytest.raises(AssertionError, match="price"):
        await ask(cases_of(document, examples=5, drawn=1), both_shops, admins, known_ids)
