"""Cells of the matrix: one request each, and what must come of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from rocket_auth.permissions.testing import PLUGINS
from rocket_auth.permissions.testing.oracle import FIELDS, KINDS, Caller, Refused, Row, document
from rocket_kernel.testing import Client, StartKernel
from rocket_kernel.testing.actors import HEADER

LINKS = "project_label"

_PAGE = 200


def anything(_answer: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Cell:
    caller: Caller
    title: str
    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    message: str | None = None
    paths: tuple[str | None, ...] = ()
    """Fields of the details."""
    check: Callable[[Any], bool] = anything
    """Of the body of a success."""
    after: tuple[tuple[str, str, Any], ...] = ()
    """Entity, id, and the row as it must be afterwards, None for none. For links: project and label, and whether."""

    def __str__(self) -> str:
        return f"{self.caller.name}, {self.title}: {self.method} {self.path} {self.body}"


def expecting(cell: Cell, oracle: Callable[[], Mapping[str, Any] | None], **success: Any) -> Cell:
    """The cell with what the oracle says: attributes of a success, or Refused."""
    try:
        return replace(cell, **{**success, **(oracle() or {})})
    except Refused as refused:
        return replace(cell, status=refused.status, message=refused.message, paths=refused.paths)


class World:
    """Rows in the making: `seeds` is what an import takes."""

    def __init__(self) -> None:
        self._count = 0
        self.seeds: dict[str, list[Row]] = {name: [] for name in (*FIELDS, LINKS)}

    def number(self) -> int:
        self._count += 1
        return self._count

    def row(self, name: str, kind: tuple[int, str], **more: Any) -> Row:
        """A new row that has no part in any other cell."""
        number = self.number()
        made = {
            "id": str(UUID(int=number, version=4)),
            "code": f"code-{number}",
            "name": f"n{number % 7}",
            "owner": kind[1],
            "level": kind[0],
            "secret": f"s{number % 5}",
            **more,
        }
        row = {each: made.get(each) for each in FIELDS[name]}
        self.seeds[name].append(row)
        return row

    def link(self, project: Row, label: Row) -> None:
        self.seeds[LINKS].append({"project_id": project["id"], "label_id": label["id"]})

    def take(self) -> dict[str, list[Row]]:
        """The rows made since the last time."""
        taken, self.seeds = self.seeds, {name: [] for name in self.seeds}
        return taken


@dataclass(frozen=True, slots=True)
class Shared:
    """Rows that are only read: a project of each kind, each with a task of each kind, a badge and two labels."""

    rows: Mapping[str, Sequence[Row]]
    links: Sequence[tuple[str, str]] = field(default_factory=list)
    """Project and label, by id."""

    def near(self, name: str, key: str, row: Row) -> list[Row]:
        """The rows that a relation key leads to."""
        match name, key:
            case "project", "labels":
                ids = {label for project, label in self.links if project == row["id"]}
                return [label for label in self.rows["label"] if label["id"] in ids]
            case "label", _:
                ids = {project for project, label in self.links if label == row["id"]}
                return [project for project in self.rows["project"] if project["id"] in ids]
            case "project", _:
                return [other for other in self.rows[key.removesuffix("s")] if other["project_id"] == row["id"]]
        return [project for project in self.rows["project"] if project["id"] == row["project_id"]]


def shared_rows(world: World) -> Shared:
    projects = [world.row("project", kind) for kind in KINDS]
    labels = [world.row("label", kind) for kind in KINDS]
    tasks = [world.row("task", kind, project_id=project["id"]) for project in projects for kind in KINDS]
    badges = [
        world.row("badge", kind, project_id=project["id"])
        for project, kind in zip(projects, reversed(KINDS), strict=True)
    ]
    linked = [(project, labels[(at + step) % len(labels)]) for at, project in enumerate(projects) for step in (0, 1)]
    for project, label in linked:
        world.link(project, label)
    rows = {"project": projects, "label": labels, "task": tasks, "badge": badges}
    return Shared(rows, [(project["id"], label["id"]) for project, label in linked])


def own_fields(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of an answer without relations and `deleted_at`."""
    return {each: value for each, value in record.items() if each in FIELDS[name]}


async def open_matrix(start_kernel: StartKernel) -> Client:
    """An administrator of an app with the oracle's entities and rules."""
    admin = await (await start_kernel(PLUGINS)).client.app("shop")
    await seed(admin, document())
    return admin


async def seed(admin: Client, body: Mapping[str, Any]) -> None:
    imported = (await admin.post("_admin/import", body)).require(200).data
    if "errors" in imported:
        raise AssertionError(imported["errors"][:3])


async def run_cells(admin: Client, cells: Iterable[Cell]) -> tuple[int, list[str]]:
    """How many were run, and what was wrong. What rows are like is looked at when all have run."""
    count, faults, ran = 0, [], []
    for cell in cells:
        count += 1
        fault = _fault(cell, *await ask(admin, cell))
        if fault:
            faults.append(f"{cell}: {fault}")
        if cell.after:
            ran.append(cell)
    if ran:
        stored = await _stored(admin)
        for cell in ran:
            for name, id, wanted in cell.after:
                found = stored.get((name, id))
                if found != wanted:
                    faults.append(f"{cell}: {name} {id} is {found} afterwards, not {wanted}")
    return count, faults


async def ask(client: Client, cell: Cell) -> tuple[int, Any]:
    """Status and body."""
    headers = {HEADER: cell.caller.header, **dict(cell.headers)}
    status, _, received = await send(client, cell.method, cell.path, cell.body, headers)
    return status, json.loads(received) if received else None


async def send(
    client: Client, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """Through the application's ASGI interface: the test client takes several times as long. Status, headers, body."""
    path, _, query = path.partition("?")
    content = b"" if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
    target = f"/api/{client.app_name}/{path}"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 80),
    }
    unread, sent = [content], []

    async def receive() -> Any:
        if not unread:
            await asyncio.get_running_loop().create_future()  # the client stays until it is answered
        return {"type": "http.request", "body": unread.pop(), "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    await client.quart(scope, receive, keep)  # type: ignore[arg-type]
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(message.get("body", b"") for message in sent[1:])


def _fault(cell: Cell, status: int, answer: Any) -> str:
    if status != cell.status:
        return f"{status} instead of {cell.status}: {answer}"
    if cell.method == "HEAD":
        return "" if answer is None else f"a body: {answer}"
    if status < 400:
        return "" if cell.check(answer) else f"another answer: {answer}"
    paths = tuple(detail.get("field") for detail in answer["error"].get("details", ()))
    found = (answer["error"]["message"], paths)
    return "" if found == (cell.message, cell.paths) else f"{found} instead of {(cell.message, cell.paths)}"


async def _stored(admin: Client) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for name in FIELDS:
        include = "&include=labels" if name == "project" else ""
        async for row in _pages(admin, f"{name}?per_page={_PAGE}{include}"):
            found[name, row["id"]] = own_fields(name, row)
            for label in row.get("labels", ()):
                found[LINKS, f"{row['id']} {label['id']}"] = True
    return found


async def _pages(admin: Client, path: str) -> Any:
    page = 1
    while rows := (await admin.get(f"{path}&page={page}")).require(200).data:
        for row in rows:
            yield row
        page += 1


def sample(cells: Iterable[Cell], share: float, seed: str) -> Iterator[Cell]:
    """Some of the cells, always the same ones, of every dimension."""
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    return (cell for cell in cells if chance.random() < share)
