import asyncio
import socket

import httpx
import pytest

from rocket_kernel.testing import Receiver


@pytest.fixture
async def caller():
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def test_it_notes_requests(receiver, caller):
    assert (await caller.post(f"{receiver.url}/hook?x=1", json={"a": 1}, headers={"X-One": "1"})).status_code == 200
    (received,) = receiver.requests
    assert (received.method, received.path, received.json) == ("POST", "/hook?x=1", {"a": 1})
    assert received.headers["x-one"] == "1"
    assert received.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_answers_come_as_they_are_told(receiver, caller):
    receiver.answer(status=503, json={"later": True}, headers={"Retry-After": "1"})
    receiver.answer(status=500, times=2)
    receiver.answer(status=204, times=None)
    answers = [await caller.get(receiver.url) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503, 500, 500, 204, 204]
    assert (answers[0].json(), answers[0].headers["retry-after"]) == ({"later": True}, "1")
    assert (await caller.head(receiver.url)).status_code == 204


async def test_it_can_be_slow_or_hang_up(receiver, caller):
    receiver.answer(delay=60)
    receiver.answer(close=True)
    with pytest.raises(httpx.ReadTimeout):
        await caller.get(receiver.url, timeout=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        await caller.get(receiver.url)
    assert len(receiver.requests) == 2
    assert (await caller.get(receiver.url)).status_code == 200


async def test_waiting_for_requests(receiver, caller):
    calls = asyncio.gather(*(caller.get(f"{receiver.url}/{n}") for n in range(3)))
    assert {request.path for request in await receiver.wait_for(3)} == {"/0", "/1", "/2"}
    await calls
    with pytest.raises(AssertionError, match=r"3 of 4 requests came within 0.01 s"):
        await receiver.wait_for(4, timeout=0.01)


async def test_large_and_chunked_bodies(receiver, caller):
    async def chunks():
        for _ in range(3):
            yield b"x" * 100_000

    await caller.post(receiver.url, content=chunks())
    assert receiver.requests[0].headers["transfer-encoding"] == "chunked"
    assert len(receiver.requests[0].body) == 300_000


async def test_nonsense_does_not_bring_it_down(receiver, caller):
    with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
    assert (await caller.get(receiver.url)).status_code == 200


async def test_it_listens_only_inside_the_block(caller):
    async with Receiver() as receiver:
        url = receiver.url
        assert (await caller.get(url)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        await caller.get(url)
    with pytest.raises(RuntimeError, match="async with"):
        _ = receiver.url
