"""Hostile definitions and names: refused with a path, or harmless; never a defect."""

import copy
from urllib.parse import quote

import pytest

from rocket_kernel.testing import assert_error, entity

from .conftest import MACHINE, caller, changed, finding, with_action

PATH = "_admin/state-machines"


@pytest.fixture
async def client(start_shop):
    client = await start_shop(machine=None)
    await client.define(entity("log", text="string", amount="int"))
    return client


JUNK = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "\u0000",
    "x" * 10_000,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"a": {"b": [1]}},
    "draft",
]


def places(value, path=""):
    """The path of every member inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        at = f"{path}.{key}" if path else str(key)
        yield at
        yield from places(item, at)


async def test_anything_at_any_place_is_refused_with_a_path_or_harmless(client):
    base = copy.deepcopy(MACHINE)
    base["definition"]["transitions"][0]["actions"] = [
        {"type": "create_record", "entity": "log", "data": {"text": "record.number"}},
        {"type": "send_event", "event": "e", "payload": {"a": 1}},
    ]
    (await client.post(PATH, base)).require(201)
    (row,) = (await client.get(PATH)).data
    tried = 0
    for place in places(base):
        for junk in JUNK:
            body = copy.deepcopy(base)
            *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
            inner = body
            for part in way:
                inner = inner[part]
            inner[last] = junk
            answer = await client.put(f"{PATH}/{row['id']}", body)
            # U+0000 is refused wherever it stands, before anything looks at the body.
            assert answer.status == 400 if junk == "\0" else answer.status in (200, 422), (place, junk, answer)
            if answer.status == 422:
                assert answer.error["code"] == "VALIDATION_FAILED"
                if place.startswith("definition"):
                    assert all(item["field"].startswith("definition") for item in answer.error["details"]), (
                        place,
                        junk,
                    )
                    assert answer.error["details"]
            tried += 1
    assert tried == len(list(places(base))) * len(JUNK)
    (await client.put(f"{PATH}/{row['id']}", base)).require(200)
    made = await client.create("invoice", {"number": "1"})
    (await client.put(f"invoice/{made['id']}", {"status": "sent"})).require(200)


async def test_long_and_strange_names_of_states_are_states(client):
    long = "ü" * 10_000
    strange = [
        "s\u0430nt",
        "sent\u200b",
        "\u017fent",
        "\U0001f9fe",
        "' or 1=1 --",
        '"; [*] --> x',
        "%s {0} ${x}",
        "\n\t",
        long,
    ]
    transitions = [{"from": "sent", "to": state} for state in strange] + [{"from": strange, "to": "sent"}]
    body = {"entity": "invoice", "field": "status", "definition": {"initial": "sent", "transitions": transitions}}
    made = (await client.post(PATH, body)).require(201).data
    assert made["definition"] == body["definition"]
    path = f"invoice/{(await client.create('invoice', {}))['id']}"
    for state in strange:
        (await client.put(path, {"status": state})).require(200)
        assert (await client.get(f"{path}/_transitions")).data[0]["from"] == state
        # A state that only looks alike is another one.
        answer = await client.put(path, {"status": state + " "})
        expected = [finding(f"Invalid transition from '{state}' to '{state} '")]
        assert_error(answer, 422, "VALIDATION_FAILED", "Validation failed", expected)
        (await client.put(path, {"status": "sent"})).require(200)
    assert (await client.get(f"{PATH}/{made['id']}/diagram")).status == 200


async def test_deep_and_large_definitions(client):
    deep = "x"
    for _ in range(60):
        deep = [deep]
    body = changed("definition.extra", deep[0])
    answer = await client.post(PATH, body)
    assert answer.status in (201, 400)
    data = {"text": deep}
    assert (
        await client.post(PATH, with_action({"type": "create_record", "entity": "log", "data": data}))
    ).status == 400
    many = [{"from": f"s{number}", "to": f"s{number + 1}"} for number in range(2000)]
    large = {"entity": "invoice", "field": "number", "definition": {"initial": "s0", "transitions": many}}
    (await client.post(PATH, large)).require(201)
    path = f"invoice/{(await client.create('invoice', {}))['id']}"
    (await client.put(path, {"number": "s1"})).require(200)
    assert (await client.put(path, {"number": "s3"})).status == 422


async def test_names_of_entities_and_ids_in_paths_are_only_names(client):
    made = await client.create("invoice", {})
    for name in ("invoice' --", "_state_machines", "../x", "INVOICE", "\u0131nvoice", "x" * 5000):
        answer = await client.get(f"{quote(name, safe='')}/{made['id']}/_transitions")
        assert (answer.status, answer.error["code"]) == (404, "UNKNOWN_ENTITY"), name
    for id in ("nothing", "' or ''='", "%00", "x" * 5000):
        answer = await client.get(f"invoice/{id if id == '%00' else quote(id, safe='')}/_transitions")
        assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND"), id
    assert (await client.as_actor(caller(9)).get(f"invoice/{made['id']}/_transitions")).status == 200
