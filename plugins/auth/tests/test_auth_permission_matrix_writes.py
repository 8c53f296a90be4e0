"""Callers x entities x actions x ways of writing x rows inside and outside of conditions, against an oracle of its own.

Each cell has rows of its own. Beside what it answers counts what has become of them.
"""

from dataclasses import replace

import pytest

from rocket_auth.permissions.testing.cells import (
    LINKS,
    Cell,
    World,
    expecting,
    open_matrix,
    own_fields,
    run_cells,
    sample,
    seed,
)
from rocket_auth.permissions.testing.oracle import (
    CALLERS,
    FIELDS,
    KINDS,
    LOW,
    ME,
    Refused,
    document,
    require_writable,
)

SHARE = 0.5
INSIDE = (LOW, ME)
GIVEN = (("name",), ("name", "secret"))
KEYS = {"task": "tasks", "badge": "badge", "label": "labels"}


def cells_of(world):
    for caller in CALLERS:
        for name in FIELDS:
            for kind in KINDS:
                for given in GIVEN:
                    yield from creates(caller, world, name, kind, given)
                    yield from updates(caller, world, name, kind, given)
                yield from deletes(caller, world, name, kind)
        for kind in KINDS:
            for way in TASKS:
                yield child(caller, world, "task", kind, *way)
            for way in BADGES:
                yield child(caller, world, "badge", kind, *way)
            for way in LABELS:
                yield label(caller, world, kind, *way)


def empty(name, /, **values):
    return {**dict.fromkeys(FIELDS[name]), **values}


# -- At the top --


def creates(caller, world, name, kind, given):
    for asked in ("", "?explain=true"):
        values = {"level": kind[0], "owner": kind[1], **{each: f"new {each}" for each in given}}
        if name == "project":
            values["code"] = f"new-{world.number()}"
        body = {each: values[each] for each in FIELDS[name] if each in values}
        row = empty(name, **body)

        def oracle(row=row, body=body):
            caller.require(name, "create")
            caller.judge_new(name, row, body)
            return {"check": lambda answer: {**own_fields(name, answer["data"]), "id": None} == caller.shown(name, row)}

        cell = expecting(Cell(caller, f"{name} create", "POST", f"{name}{asked}", body), oracle, status=201)
        yield explained(cell, "create") if asked else cell


def updates(caller, world, name, kind, given):
    body = {each: f"new {each}" for each in FIELDS[name] if each in given}
    ways = [("id", "", ()), ("id", "?explain=true", ()), ("id", "", (("if-match", "*"),))]
    if name == "project":
        ways += [("code", "", ()), ("code", "?explain=true", ())]
    for by, asked, headers in ways:
        row = world.row(name, kind)

        def oracle(row=row, by=by):
            require_writable(caller.load(name, "update", row, by=by), body)
            new = {**row, **body}
            shown = caller.shown(name, new)
            return {
                "check": lambda answer: own_fields(name, answer["data"]) == shown,
                "after": ((name, row["id"], new),),
            }

        cell = Cell(caller, f"{name} update by {by}", "PUT", f"{name}/{row[by]}{asked}", body, headers)
        cell = expecting(replace(cell, after=((name, row["id"], row),)), oracle)
        yield replace(explained(cell, "update"), after=((name, row["id"], row),)) if asked else cell


def deletes(caller, world, name, kind):
    for by in ("id", "code") if name == "project" else ("id",):
        for asked in ("", "?explain=true"):
            row = world.row(name, kind)

            def oracle(row=row, by=by):
                caller.load(name, "delete", row, by=by)
                return {"check": lambda answer: answer["data"] == {"id": row[by]}, "after": ((name, row["id"], None),)}

            cell = Cell(caller, f"{name} delete by {by}", "DELETE", f"{name}/{row[by]}{asked}")
            cell = expecting(replace(cell, after=((name, row["id"], row),)), oracle)
            yield replace(explained(cell, "delete"), after=((name, row["id"], row),)) if asked else cell


def explained(cell, action):
    """What would come of it: 403 and 422 are told, 404 is the answer as ever, and nothing changes."""
    if cell.status == 404:
        return cell
    if cell.status < 400:
        return replace(cell, status=200, check=lambda answer: answer["data"]["would"] == action)
    told = [(None, cell.message)]
    if cell.paths:
        told = [(path, f"No permission to write {path.split('.')[-1]}") for path in cell.paths]

    def check(answer):
        errors = [(error.get("field"), error["message"]) for error in answer["data"]["errors"]]
        return (answer["data"]["would"], answer["data"]["record"], errors) == ("reject", None, told)

    return replace(cell, status=200, message=None, paths=(), check=check)


# -- Nested in a project --

TASKS = [
    ("create", "diff"), ("create", "append"), ("create", "replace"), ("update", "diff"), ("update", "replace"),
    ("update", "secret"), ("delete", "diff"), ("delete", "replace"), ("append", "append"),
]  # fmt: skip
BADGES = [("create", "object"), ("update", "object"), ("update", "id"), ("delete", "replace"), ("delete", "diff")]
LABELS = [
    ("create", "diff"),
    ("link", "diff"),
    ("link", "append"),
    ("link", "new"),
    ("unlink", "diff"),
    ("unlink", "replace"),
]


def child(caller, world, name, kind, action, way):
    """A row that refers to the project; `append` is a child named in the mode that ignores it."""
    parent = world.row("project", INSIDE)
    row = None if action == "create" else world.row(name, kind, project_id=parent["id"])
    values = {"secret": "new secret"} if way == "secret" else {"name": "new name"}
    if action == "create":
        body = {"name": "new name", "owner": kind[1], "level": kind[0]}
    else:
        body = values if way == "object" else {"id": row["id"], **values}
    if action == "delete":
        body = {"id": row["id"], "_delete": True}
    path = KEYS[name] if way in ("object", "id") else f"{KEYS[name]}[0]"

    def oracle():
        caller.load("project", "update", parent)
        known = row is not None and caller.names(name, "project_id") and caller.sees(name, row)
        return outcome(caller, name, action, way, row, body, path, parent, known=known)

    cell = Cell(
        caller,
        f"{name} nested {action} {way}",
        "PUT",
        f"project/{parent['id']}",
        wrapped(KEYS[name], way, action, body),
    )
    return expecting(replace(cell, after=((name, row["id"], row),) if row else ()), oracle)


def wrapped(key, way, action, body):
    match way:
        case "object" | "id":
            return {key: body}
        case "replace":
            return {key: {"_write_mode": "replace", "data": [] if action in ("delete", "unlink") else [body]}}
        case "append":
            return {key: {"_write_mode": "append", "data": [body]}}
    return {key: [body]}


def outcome(caller, name, action, way, row, body, path, parent, *, known):
    if action == "create" or (way == "object" and not known):
        new = empty(name, **body, project_id=parent["id"])
        caller.require(name, "create")
        caller.judge_new(name, new, [each for each in FIELDS[name] if each in body], under=f"{path}.")
        if row is not None:  # its place is taken by a badge that is hidden
            raise Refused(409, "A record with this value already exists", f"{path}.project_id")
        return {}
    if not known:
        if action == "delete" and way == "replace":
            return {}
        raise Refused(422, "Validation failed", f"{path}.id")
    if action == "append":
        return {}
    holding = caller.judge_child(name, action, row)
    if action == "delete":
        return {"after": ((name, row["id"], None),)}
    given = {each: value for each, value in body.items() if each != "id"}
    require_writable(holding, given, under=f"{path}.")
    return {"after": ((name, row["id"], {**row, **given}),)}


def label(caller, world, kind, action, way):
    parent, row = world.row("project", INSIDE), world.row("label", kind)
    body = row["id"]
    if action == "create":
        body = {"name": "new name", "owner": kind[1], "level": kind[0]}
    elif action == "unlink":
        world.link(parent, row)
        body = {"id": row["id"], "_delete": True}
    before = (LINKS, f"{parent['id']} {row['id']}", True if action == "unlink" else None)
    changed = (*before[:2], None if action == "unlink" else True)

    def items():
        if action == "create":
            caller.require("label", "create")
            caller.judge_new(
                "label", empty("label", **body), [each for each in FIELDS["label"] if each in body], under="labels[0]."
            )
            return {}
        if way == "replace":
            # Links to labels that are hidden stay.
            return {"after": (changed,)} if caller.sees("label", row) else {}
        caller.require("label", "read")
        if not caller.sees("label", row):
            raise Refused(422, "Validation failed", "labels[0].id")
        return {"after": (changed,)}

    if way == "new":
        return linked_at_once(caller, world, row, items)

    def oracle():
        caller.load("project", "update", parent)
        return items()

    cell = Cell(
        caller, f"label nested {action} {way}", "PUT", f"project/{parent['id']}", wrapped("labels", way, action, body)
    )
    return expecting(replace(cell, after=(before,)), oracle)


def linked_at_once(caller, world, row, items):
    """To a project that is being created: its id is not known here, so that the link is looked at no further."""
    project = {"code": f"new-{world.number()}", "name": "p", "owner": ME, "level": LOW}

    def oracle():
        caller.require("project", "create")
        items()
        caller.judge_new("project", empty("project", **project), project)
        return {}

    cell = Cell(caller, "label linked at once", "POST", "project", {**project, "labels": [row["id"]]})
    return expecting(cell, oracle, status=201)


async def run(start_kernel, chosen):
    world = World()
    cells = list(cells_of(world))
    admin = await open_matrix(start_kernel)
    await seed(admin, {**document(), "sample_data": world.take()})
    count, faults = await run_cells(admin, chosen(cells))
    return len(cells), count, faults


async def test_writes(start_kernel, database):
    cells, count, faults = await run(start_kernel, lambda cells: sample(cells, SHARE, database.driver))
    assert faults == []
    assert cells > 5000
    assert count > cells * SHARE * 0.9


@pytest.mark.torture
async def test_all_writes(start_kernel):
    cells, count, faults = await run(start_kernel, lambda cells: cells)
    assert faults == []
    assert count == cells
