"""Twin worlds: two apps whose data differ only in what a caller may not see answer that caller with the same bytes.

Both are asked the same random questions and changed by the same random writes. Ids are those of the request's number,
and the clock stands still, so that nothing else differs. What does tell of hidden rows by its nature is left out: a
unique value that one of them has (here: the one badge of a project), and on_delete.
"""

import json
import random
import re
from uuid import UUID

import pytest

from rocket_auth.permissions.testing import PLUGINS
from rocket_auth.permissions.testing.cells import LINKS, seed, send
from rocket_auth.permissions.testing.oracle import CALLERS, FIELDS, HOPS, KINDS, ME, YOU, document
from rocket_kernel.testing.actors import HEADER

FEW = {"sqlite": ("clerk", "keyless", "r2", "three", "writer"), "postgres": ("keyless", "three")}
"""Callers of the ordinary run. New databases are what takes time."""

OPERATORS = {"level": ["", ".gt", ".lte", ".between", ".in", ".is_null"], "name": ["", ".like", ".neq", ".in"]}
TRACE = "12345678-90ab-4cde-8f01-234567890abc"
_MS = re.compile(rb'"ms":[0-9.e-]+')


class Data:
    """The rows of both worlds before the first request: `sides[0]` and `sides[1]` by entity."""

    def __init__(self, caller, chance):
        self.caller, self.chance, self.count = caller, chance, 0
        names = ("project", *["task"] * 3, "badge", "label")
        self.sides = ({name: [] for name in (*FIELDS, LINKS)}, {name: [] for name in (*FIELDS, LINKS)})
        for name in names:
            for number in range(8):
                self.add(name, self.row(name, number))
        for name in ("project", "task", "label"):
            for _ in range(4):
                row = self.unseen(name, self.row(name))
                if row is not None:
                    self.sides[chance.randrange(2)][name].append(row)
        self.add_links()

    def row(self, name, number=None):
        self.count += 1
        chance, projects = self.chance, self.sides[0]["project"]
        kind = chance.choice(KINDS)
        row = {
            "id": new_id(10**9 + self.count),
            "code": f"code-{self.count}",
            "name": chance.choice("abc"),
            "owner": kind[1],
        }
        row |= {"level": kind[0] + chance.randrange(3), "secret": chance.choice("xyz")}
        if name == "badge":
            row["project_id"] = projects[number]["id"]
        if name == "task":
            row["project_id"] = chance.choice(projects)["id"] if projects and chance.random() < 0.9 else None
        return {each: row.get(each) for each in FIELDS[name]}

    def add(self, name, row):
        self.sides[0][name].append(row)
        twin = self.twin(name, row)
        if twin is not None:
            self.sides[1][name].append(twin)

    def is_known(self, name, row):
        """Whether the caller can tell that the row is there: by reading it or, where it reads nothing, by writing it."""
        if self.caller.may(name, "read"):
            return self.caller.sees(name, row)
        return any(self.caller.holding(name, action, row) for action in ("update", "delete"))

    def twin(self, name, row):
        """The row in the other world; None when it is not there."""
        if not self.is_known(name, row):
            gone = name != "badge" and self.chance.random() < 0.4
            return None if gone else self.unseen(name, {**self.row(name, 0), "id": row["id"], **place(name, row)})
        shown = self.caller.shown(name, row)
        return {each: value if each in shown else self.other(name, each, value) for each, value in row.items()}

    def unseen(self, name, row):
        """The row, made so that the caller cannot tell that it is there; None where that cannot be."""
        for level in (row["level"], 9, 1):
            for owner in (row["owner"], YOU, ME):
                changed = {**row, "level": level, "owner": owner}
                if not self.is_known(name, changed):
                    return changed
        return None

    def other(self, name, each, value):
        """Another value of a field that is hidden, which all conditions take alike."""
        self.count += 1
        match each:
            case "level":
                return value % 5 + (1 if value <= 5 else 6)
            case "project_id" if name == "task":
                return self.chance.choice([row["id"] for row in self.sides[0]["project"]] + [None])
            case "code" | "name" | "secret":
                return f"other-{self.count}"
        return value

    def add_links(self):
        for project in self.sides[0]["project"]:
            for label in self.sides[0]["label"]:
                if self.chance.random() > 0.4:
                    continue
                link = {"project_id": project["id"], "label_id": label["id"]}
                known = self.caller.sees("project", project) and self.caller.sees("label", label)
                for side in (0, 1) if known else (self.chance.randrange(2),):
                    self.sides[side][LINKS].append(link)

    def ids(self, name):
        return sorted({row["id"] for side in self.sides for row in side[name]})

    def values(self, each):
        found = {
            str(row[each]) for side in self.sides for name in FIELDS for row in side[name] if row.get(each) is not None
        }
        return sorted(found)


def place(name, row):
    return {"project_id": row["project_id"]} if name == "badge" else {}


def new_id(number):
    return str(UUID(int=number, version=4))


# -- Questions --


class Asker:
    """Makes up requests: `(method, path, body, headers)`."""

    def __init__(self, caller, data, chance):
        self.caller, self.data, self.chance, self.tags, self.count = caller, data, chance, ['"x"'], 0
        self.parent = ""
        # Where which fields show depends on the row, changing what conditions ask for would show what was hidden.
        self.steady = all(len(caller.rules(name, "read")) <= 1 for name in FIELDS)

    def ask(self):
        self.count += 1
        name, draw = self.chance.choice(list(FIELDS)), self.chance.random()
        if draw < 0.4:
            return "GET", f"{name}?{self.query(name, listed=True)}", None, {}
        if draw < 0.55:
            method = "HEAD" if self.chance.random() < 0.1 else "GET"
            return method, f"{self.place(name)}?{self.query(name, listed=False)}", None, {}
        explain = "?explain=true" if self.chance.random() < 0.4 else ""
        if draw < 0.7:
            return "POST", f"{name}{explain}", self.body(name, new=True), {}
        headers = {"If-Match": self.chance.choice(self.tags)} if self.chance.random() < 0.2 else {}
        if draw < 0.8:
            self.parent = self.known("project")
            body = {**self.body("project", new=False, depth=1), **self.items()}
            return "PUT", f"project/{self.parent}{explain}", body, headers
        if draw < 0.95:
            return "PUT", f"{self.place(name)}{explain}", self.body(name, new=False), headers
        return "DELETE", f"{self.place(name)}{explain}", None, headers

    def place(self, name):
        if name == "project" and self.chance.random() < 0.3:
            return f"project/{self.chance.choice(self.data.values('code'))}"
        return f"{name}/{self.id(name)}"

    def id(self, name):
        return self.chance.choice([*self.data.ids(name), new_id(77)])

    def known(self, name):
        """The id of a row that the caller can tell is there."""
        rows = [row["id"] for row in self.data.sides[0][name] if self.data.is_known(name, row)]
        return self.chance.choice(rows or [new_id(77)])

    def query(self, name, *, listed):
        parts = []
        if listed:
            parts += [self.filter(name) for _ in range(self.chance.choice([0, 0, 1, 1, 2]))]
            parts += [f"sort={self.chance.choice(['', '-'])}{self.path(name)}"] * (self.chance.random() < 0.4)
            parts += [f"per_page={self.chance.choice([1, 3, 200])}&page={self.chance.choice([1, 1, 2])}"]
        if self.chance.random() < 0.5:
            paths = [self.walk(name, self.chance.choice([1, 1, 2, 3])) for _ in range(self.chance.choice([1, 1, 2]))]
            parts.append(f"include={','.join(paths)}")
        if self.chance.random() < 0.2:
            parts.append(f"fields={','.join(self.chance.sample(FIELDS[name], 2))}")
        return "&".join(parts)

    def walk(self, name, hops):
        keys = []
        for _ in range(hops):
            key = self.chance.choice([key for origin, key in HOPS if origin == name])
            keys.append(key)
            name = HOPS[name, key][0]
        return ".".join(keys)

    def path(self, name):
        """To a field, often one of another entity."""
        keys = []
        while self.chance.random() < 0.4:
            keys.append(self.chance.choice([key for origin, key in HOPS if origin == name]))
            name = HOPS[name, keys[-1]][0]
        return ".".join([*keys, self.chance.choice(FIELDS[name])])

    def filter(self, name):
        path = self.path(name)
        each = path.rpartition(".")[2]
        operator = self.chance.choice(OPERATORS.get(each, ["", ".neq", ".in"]))
        values = self.data.values(each)
        value = self.chance.choice(values)
        if operator in (".in", ".between"):
            value = ",".join(sorted(self.chance.choices(values, k=2)))
        if operator == ".is_null":
            value = self.chance.choice(["true", "false"])
        return f"filter[{path}{operator}]={value}"

    def body(self, name, *, new, depth=0):
        chance = self.chance
        values = {
            "name": chance.choice("abc"),
            "secret": chance.choice("xyz"),
            "code": f"new-{self.count}-{chance.random()}",
        }
        values |= {"project_id": self.id("project")} if name == "task" else {}
        given = {each: value for each, value in values.items() if each in FIELDS[name] and chance.random() < 0.5}
        if new or (self.steady and chance.random() < 0.3):
            kind = chance.choice(KINDS)
            given |= {"level": kind[0], "owner": kind[1]}
        if name == "project" and depth == 0 and chance.random() < 0.5:
            given |= self.items()
        return given

    def items(self):
        key = self.chance.choice(["tasks", "badge", "labels"])
        return {key: self.nested(key)}

    def nested(self, key):
        chance, name = self.chance, HOPS["project", key][0]
        if key == "badge":
            return {**self.body("badge", new=chance.random() < 0.3, depth=1), **self.named("badge", 0.4)}
        items = [self.item(key, name) for _ in range(chance.choice([0, 1, 1, 2]))]
        mode = chance.choice([None, "diff", "replace", "append"])
        return items if mode is None else {"_write_mode": mode, "data": items}

    def item(self, key, name):
        if key == "labels" and self.chance.random() < 0.4:
            return self.id(name)
        item = {**self.body(name, new=self.chance.random() < 0.5, depth=1), **self.named(name, 0.6)}
        return {**item, "_delete": True} if self.chance.random() < 0.25 else item

    def named(self, name, share):
        """The key of an item: mostly of one that belongs to the parent, in one world at least."""
        near = [row["id"] for side in self.data.sides for row in side[name] if row.get("project_id") == self.parent]
        id = self.chance.choice(near) if near and self.chance.random() < 0.7 else self.id(name)
        return {"id": id} if self.chance.random() < share else {}

    def learn(self, headers):
        if "etag" in headers:
            self.tags = [*self.tags[-20:], headers["etag"], "*"]


async def compare(clients, caller, count, ids, chance):
    """Ask both worlds; the answers' status numbers by method."""
    data = Data(caller, chance)
    for client, rows in zip(clients, data.sides, strict=True):
        await seed(client, {**document(), "sample_data": rows})
    assert data.sides[0] != data.sides[1]
    asker = Asker(caller, data, chance)
    statuses = {}
    for _ in range(count):
        method, path, body, headers = asker.ask()
        sent = {HEADER: caller.header, "X-Trace-ID": TRACE, **headers}
        answers = []
        for client in clients:
            ids.start(asker.count)
            status, received, content = await send(client, method, path, body, sent)
            timed = _MS.sub(b'"ms":0', content)
            if timed != content:
                received["content-length"] = "that of the times of steps"
            answers.append((status, sorted(received.items()), timed))
        assert answers[0] == answers[1], (
            f"{caller.name}, request {asker.count}: {method} {path} {json.dumps(body)} {headers}"
        )
        asker.learn(received)
        statuses[method, status] = statuses.get((method, status), 0) + 1
    return statuses


class Ids:
    """The ids that the kernel gives to new rows: those of a request are the same in both worlds."""

    def start(self, request):
        self.request, self.given = request, 0

    def __call__(self):
        self.given += 1
        return new_id(self.request * 1000 + self.given)


@pytest.fixture
def ids(monkeypatch):
    given = Ids()
    given.start(0)
    monkeypatch.setattr("rocket_kernel.write.evaluate.random_id", given)
    return given


async def run(start_kernel, ids, callers, count, seed_number):
    running = await start_kernel(PLUGINS)
    total = {}
    for number, caller in enumerate(callers):
        clients = [await running.client.app(f"{side}{number}") for side in ("left", "right")]
        found = await compare(clients, caller, count, ids, random.Random(f"{seed_number} {caller.name}"))
        for key, times in found.items():
            total[key] = total.get(key, 0) + times
        for client in clients:
            (await running.client.delete(f"/api/_platform/apps/{client.app_name}")).require(200)
    return total


async def test_twin_worlds(start_kernel, database, ids):
    callers = [caller for caller in CALLERS if caller.name in FEW[database.driver]]
    found = await run(start_kernel, ids, callers, 200, 1)
    # The questions are worth asking only if there is more to them than refusals.
    for method, status in (
        ("GET", 200),
        ("GET", 403),
        ("GET", 404),
        ("POST", 201),
        ("PUT", 200),
        ("PUT", 404),
        ("DELETE", 200),
    ):
        assert found.get((method, status), 0) >= 3, found
    assert sum(found.values()) == 200 * len(callers)


@pytest.mark.torture
@pytest.mark.parametrize("number", range(2))
async def test_many_twin_worlds(start_kernel, ids, number):
    callers = [caller for caller in CALLERS if caller.name not in ("admin", "reader")]  # they see everything
    found = await run(start_kernel, ids, callers, 300, number)
    assert sum(found.values()) >= 5000
