"""What is asked of wrk, and what is made of its report."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import wrk
from bench.__main__ import main
from bench.asks import FRESH_ID, Ask, get, post, write_asks
from bench.wrk import Load, LoadFailed, parse_outcome

REPORT = {
    "requests": 2000,
    "duration_us": 4_000_000,
    "refused": 0,
    "connect": 0,
    "read": 0,
    "write": 0,
    "timeout": 0,
    "p50_us": 7500,
    "p99_us": 21_250,
}


def output(**changes):
    return f"Running 4s test @ http://127.0.0.1:1\n  1 threads\nBENCH {json.dumps({**REPORT, **changes})}\n"


def test_a_report_becomes_rate_and_latencies():
    outcome = parse_outcome(output())
    assert (outcome.requests, outcome.seconds, outcome.rate) == (2000, 4.0, 500.0)
    assert (outcome.p50_ms, outcome.p99_ms) == (7.5, 21.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"refused": 3}, "of 2000 requests 3 not answered with success"),
        ({"connect": 32}, "of 2000 requests 32 could not connect"),
        ({"read": 1, "timeout": 2}, "of 2000 requests 1 broke while reading, 2 timed out"),
        ({"write": 1}, "of 2000 requests 1 broke while writing"),
        ({"requests": 0}, "of 0 requests none was answered"),
    ],
)
def test_a_load_with_failures_is_no_figure(changes, message):
    with pytest.raises(LoadFailed) as refused:
        parse_outcome(output(**changes))
    assert refused.value.message == message


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused\n"])
def test_a_load_without_a_report_is_no_figure(text):
    with pytest.raises(LoadFailed, match="wrk reported nothing"):
        parse_outcome(text)


def test_the_command_names_connections_length_script_and_asks():
    words = wrk.command("/usr/bin/wrk", "127.0.0.1:8090", Load(32, 2.6, core=1), Path("asks.tsv"), seed=7)
    assert words[:9] == ["/usr/bin/wrk", "-t", "1", "-c", "32", "-d", "3s", "--timeout", "10"]
    assert words[9:] == ["-s", str(wrk.SCRIPT), "http://127.0.0.1:8090", "--", "asks.tsv", "7"]
    assert wrk.SCRIPT.exists()


def test_without_wrk_there_is_one_line_and_exit_code_1(monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = CliRunner().invoke(main, [])
    assert done.exit_code == 1
    assert done.output.splitlines() == [f"Error: {wrk.MISSING}"]
    assert "apt-get install wrk" in wrk.MISSING


def test_an_unknown_scenario_is_wrong_usage(monkeypatch):
    monkeypatch.setattr("bench.__main__.require_wrk", lambda: "wrk")
    done = CliRunner().invoke(main, ["--only", "get,fly"])
    assert done.exit_code == 2
    assert "there is no scenario 'fly'" in done.output


def test_asks_are_lines_of_three_parts(tmp_path):
    path = tmp_path / "asks.tsv"
    write_asks([get("/a?b=c"), post("/d", {"id": FRESH_ID, "text": "tab\tnewline\n"})], path)
    first, second = path.read_text().splitlines()
    assert first.split("\t") == ["GET", "/a?b=c", ""]
    method, target, body = second.split("\t")
    assert (method, target, json.loads(body)) == ("POST", "/d", {"id": FRESH_ID, "text": "tab\tnewline\n"})


def test_an_ask_without_a_body_sends_none():
    assert get("/a") == Ask("GET", "/a", "")
