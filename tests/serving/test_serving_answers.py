"""What goes over the wire is the same whichever server sends it."""

from __future__ import annotations

import json

import psutil
import pytest

START_LIMIT_S = 3.0
"""Of processor time, which other programs on the machine do not lengthen much."""
ENDED = b"Host: x\r\nConnection: close\r\n"


def processor_time_s(server):
    """Of the server and its workers so far."""
    first = psutil.Process(server.process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in [first, *first.children(recursive=True)])


def test_server_starts_quickly_and_says_what_it_serves(serve, server_name):
    server = serve("--server", server_name)
    assert processor_time_s(server) < START_LIMIT_S
    server.process.terminate()
    code, errors = server.ended()
    assert code == 0
    head, *facts, warning = errors.splitlines()
    assert head.startswith("Rocket ")
    shown = dict(line.split(maxsplit=1) for line in facts)
    assert shown["address"] == f"http://127.0.0.1:{server.port}"
    assert shown["database"].startswith("sqlite, ")
    assert shown["plugins"] == "none"
    assert shown["workers"] == "1"
    assert shown["server"].startswith(f"{server_name} ")
    assert warning == "Warning: no authentication plugin is enabled: every caller on this machine is admin."


def test_head_has_the_length_of_get_and_no_body(server):
    got, body = server.request("GET", "/health")
    asked, nothing = server.request("HEAD", "/health")
    assert (asked.status, nothing) == (200, b"")
    assert asked.headers["Content-Length"] == got.headers["Content-Length"] == str(len(body))


def test_no_content_has_no_body(server):
    answer = server.raw(b"OPTIONS /health HTTP/1.1\r\n" + ENDED + b"\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 204")
    assert b"content-length" not in head.lower()
    assert body == b""


def test_server_does_not_name_a_version(server):
    assert server.request("GET", "/health")[0].headers.get("Server", "granian") == "granian"


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"POST /api/_platform/apps HTTP/1.1\r\n%sContent-Length: 1\r\n\r\n{", 400, "INVALID_PAYLOAD"),
        (b'POST /api/_platform/apps HTTP/1.1\r\n%sContent-Length: 3\r\n\r\n"\xff"', 400, "INVALID_PAYLOAD"),
        (b"POST /api/_platform/apps HTTP/1.1\r\n%sContent-Length: 99999999999\r\n\r\n{", 413, "PAYLOAD_TOO_LARGE"),
        (b"GET /api/%%ff%%fe/artist HTTP/1.1\r\n%s\r\n", 404, "APP_NOT_FOUND"),
        (b"GET /api/%%00/artist HTTP/1.1\r\n%s\r\n", 404, "APP_NOT_FOUND"),
        (b"GET /nowhere HTTP/1.1\r\n%s\r\n", 404, "NOT_FOUND"),
        (b"PUT /health HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n", 405, "METHOD_NOT_ALLOWED"),
        (b"BREW /health HTTP/1.1\r\n%s\r\n", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_faulty_request_is_answered_with_the_error_envelope(server, text, status, code):
    answer = server.raw(text % (ENDED + b"Content-Type: application/json\r\n"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert json.loads(body)["error"]["code"] == code


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_is_refused_by_the_server_which_goes_on(server, text, status):
    assert int(server.raw(text).split()[1]) == status
    assert server.request("GET", "/health")[0].status == 200


def test_head_of_a_request_may_not_be_endless(server):
    try:
        answer = server.raw(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000)
    except ConnectionError:  # it may close before it has read what it refuses
        answer = b"HTTP/1.1 431"
    assert answer.startswith(b"HTTP/1.1 431")
    assert server.request("GET", "/health")[0].status == 200


def test_head_of_a_request_may_be_long(server):
    assert server.request("GET", "/health", Cookie="a" * 50_000)[0].status == 200


@pytest.mark.torture
@pytest.mark.parametrize("begun", [b"", b"GET /health HTTP/1.1\r\nX: "])
def test_connection_that_says_nothing_is_cut_off(server, begun):
    with server.connect(timeout=8) as connection:
        connection.sendall(begun)
        assert connection.recv(100) == b""


@pytest.mark.parametrize("server", ["granian"], indirect=True)
def test_commands_beside_a_server_are_seen_at_the_next_request(server):
    fields = [{"name": "id", "type": "int"}]
    artist = {"name": "artist", "primary_key": {"field": "id", "type": "int"}, "fields": fields}
    document = {"entities": [artist], "sample_data": {"artist": [{"id": 7}]}}
    (server.folder / "document.json").write_text(json.dumps(document))

    def answer():
        return json.loads(server.request("GET", "/api/shop/artist")[1])

    assert answer()["error"]["code"] == "APP_NOT_FOUND"
    assert server.run("apps", "create", "shop").returncode == 0
    assert answer()["error"]["code"] == "UNKNOWN_ENTITY"
    assert server.run("import", "shop", "document.json").returncode == 0
    assert answer()["data"] == [{"id": 7}]
    assert server.run("apps", "delete", "shop").returncode == 0
    assert answer()["error"]["code"] == "APP_NOT_FOUND"
