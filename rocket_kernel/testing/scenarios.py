"""Tests as tables: one row is a request with all that must, and must not, come of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from rocket_kernel.actor import Actor
from rocket_kernel.testing.client import Answer, Client
from rocket_kernel.testing.steps import StepRecorder

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_OWN_TO_ONE_RUN = frozenset({"x-trace-id", "date", "server"})


@dataclass(frozen=True, slots=True)
class Scenario:
    """One request and what is expected of its answer.

    `{name}` in `path`, `contains`, `lacks`, `headers` and in texts of `body` stands for what an earlier scenario of
    the run has kept under that name.
    """

    name: str
    method: str
    path: str
    """As for `Client.request`: relative to the client's app, or absolute with a slash in front."""
    body: object = None
    """Sent as JSON; None sends no body. `content` sends bytes as they are."""
    status: int = 200
    contains: Sequence[str] = ()
    """Texts that the body must hold."""
    lacks: Sequence[str] = ()
    """Texts that the body must not hold."""
    steps: Sequence[str] | None = None
    """The names of all steps of plugins that run, in order; None does not look."""
    error: str | None = None
    """The error code."""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    actor: Actor | None = None
    """The caller, for kernels with the plugin `Actors`."""
    keep: Mapping[str, str] = field(default_factory=dict)
    """Values of the answer for later scenarios: `{"book": "data.id"}` keeps that member under the name `book`."""

    def __post_init__(self) -> None:
        if self.method != self.method.upper():
            raise ValueError(f"the method of scenario {self.name!r} is written {self.method.upper()!r}")
        for name in ("contains", "lacks", "steps"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} of scenario {self.name!r} must be several texts, not one: write ({name},)")


async def run_scenario(client: Client, scenario: Scenario, kept: dict[str, Any] | None = None) -> Answer:
    """The answer; an AssertionError tells everything that is not as expected. `kept` is read and added to."""
    kept = {} if kept is None else kept
    if scenario.steps is None:
        answer, ran = await _answer(client, scenario, kept), None
    else:
        async with StepRecorder(client) as recorder:
            answer = await _answer(client, scenario, kept)
        ran = recorder.names
    problems = _problems(scenario, answer, ran, kept)
    if problems:
        raise AssertionError("\n  ".join([f"scenario {scenario.name!r}", *problems, str(answer)]))
    for name, path in scenario.keep.items():
        kept[name] = _member(answer, path)
    return answer


async def run_scenarios(client: Client, scenarios: Iterable[Scenario]) -> list[Answer]:
    """The answers, in order. The first scenario that fails ends the run."""
    kept: dict[str, Any] = {}
    return [await run_scenario(client, scenario, kept) for scenario in scenarios]


async def transcript(client: Client, scenarios: Iterable[Scenario]) -> bytes:
    """What was asked and answered, without what differs from run to run.

    Ids are numbered as they appear (`<id 1>`), times are `<time>`, tags `<etag 1>`; trace ids are left out. Two
    databases give the same bytes, or one of them is wrong.
    """
    kept: dict[str, Any] = {}
    parts: list[str] = []
    for scenario in scenarios:
        answer = await run_scenario(client, scenario, kept)
        headers = sorted((name.lower(), value) for name, value in answer.headers)
        own = [f"{name}: {value}" for name, value in headers if name not in _OWN_TO_ONE_RUN]
        trace_id = answer.headers.get("X-Trace-ID", "")
        body = answer.body.decode(errors="backslashreplace")
        request = f"# {scenario.name}\n{answer.method} {answer.path}"
        parts.append("\n".join([request, str(answer.status), *own, "", _without(body, trace_id), ""]))
    return _with_placeholders("\n".join(parts)).encode()


async def assert_same_answers(one: Client, two: Client, scenarios: Sequence[Scenario]) -> None:
    """Both clients get the same bytes, ids and times aside; an AssertionError shows where they differ.

    Made for `start_on_both`, but two kernels of other settings may be compared as well.
    """
    first, second = [(await transcript(client, scenarios)).decode().splitlines() for client in (one, two)]
    difference = "\n".join(unified_diff(first, second, "one", "two", n=4, lineterm=""))
    if difference:
        raise AssertionError(f"the answers differ\n{difference}")


async def _answer(client: Client, scenario: Scenario, kept: Mapping[str, Any]) -> Answer:
    caller = client if scenario.actor is None else client.as_actor(scenario.actor)
    body = {} if scenario.body is None else {"json": _filled(scenario.body, kept)}
    headers = {name: _filled(value, kept) for name, value in scenario.headers.items()}
    path = _filled(scenario.path, kept)
    missing = _PLACEHOLDER.search(scenario.path)
    if missing is not None and missing[1] not in kept:
        raise AssertionError(f"scenario {scenario.name!r}: nothing was kept as {missing[1]!r} for {scenario.path}")
    return await caller.request(scenario.method, path, content=scenario.content, headers=headers, **body)


def _problems(scenario: Scenario, answer: Answer, ran: tuple[str, ...] | None, kept: Mapping[str, Any]) -> list[str]:
    text = answer.body.decode(errors="replace")
    problems = [f"expected the status {scenario.status}"] if answer.status != scenario.status else []
    if scenario.error is not None and _code(answer) != scenario.error:
        problems.append(f"expected the error {scenario.error}")
    for part in _filled(list(scenario.contains), kept):
        if part not in text:
            problems.append(f"the body lacks {part!r}")
    for part in _filled(list(scenario.lacks), kept):
        if part in text:
            problems.append(f"the body must not hold {part!r}")
    if ran is not None and ran != tuple(scenario.steps or ()):
        problems.append(f"expected the steps {list(scenario.steps or ())}, these ran: {list(ran)}")
    return problems


def _code(answer: Answer) -> Any:
    try:
        return answer.json["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None


def _filled(value: Any, kept: Mapping[str, Any]) -> Any:
    """`value` with `{name}` replaced in its texts; a text that is nothing but `{name}` becomes the kept value."""
    if isinstance(value, str):
        for name, held in kept.items():
            if value == f"{{{name}}}":
                return held
            value = value.replace(f"{{{name}}}", str(held))
        return value
    if isinstance(value, Mapping):
        return {name: _filled(item, kept) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_filled(item, kept) for item in value]
    return value


def _member(answer: Answer, path: str) -> Any:
    """Such as `data.id` or `data.lines.0.id`."""
    value = answer.json
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise AssertionError(f"nothing to keep at {path!r} in {answer}") from None
    return value


def _without(body: str, trace_id: str) -> str:
    return body.replace(trace_id, "<trace>") if trace_id else body


def _with_placeholders(text: str) -> str:
    names: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}

    def placeholder(kind: str, found: str) -> str:
        if (kind, found) not in names:
            counts[kind] = counts.get(kind, 0) + 1
            names[kind, found] = f"<{kind} {counts[kind]}>"
        return names[kind, found]

    text = re.sub(r"(?m)^etag: (.*)$", lambda match: f"etag: {placeholder('etag', match[1])}", text)
    text = _ID.sub(lambda match: placeholder("id", match[0]), text)
    return _TIME.sub("<time>", text)
