"""Callers x entities x ways of reading x rows inside and outside of conditions, against an oracle of its own."""

from functools import partial

import pytest

from rocket_auth.permissions.testing.cells import (
    Cell,
    World,
    expecting,
    open_matrix,
    own_fields,
    run_cells,
    sample,
    seed,
    shared_rows,
)
from rocket_auth.permissions.testing.oracle import CALLERS, FIELDS, HOPS, document

SHARE = 0.5


def cells_of(world):
    shared = shared_rows(world)
    for caller in CALLERS:
        for name in FIELDS:
            yield from lists(caller, name, shared)
            yield from single(caller, name, shared)
        for name, key in HOPS:
            yield from includes(caller, name, key, shared)
            yield from related_filters(caller, name, key, shared)
        yield from paths(caller, shared)


# -- Lists --


def lists(caller, name, shared):
    def everything(_row):
        return True

    yield listed(caller, name, shared, "page", "", everything)
    yield listed(caller, name, shared, "page of one", "&per_page=1", everything, first=True)
    for each in ("secret", "level"):
        yield listed(caller, name, shared, "sort", f"&sort=-{each}", everything, needs=each)
    for row in shared.rows[name]:
        yield listed(caller, name, shared, "list", f"&filter[id]={row['id']}", partial(same, row, "id"))
        alike = partial(same, row, "secret")
        yield listed(caller, name, shared, "filter", f"&filter[secret]={row['secret']}", alike, needs="secret")


def same(row, each, other):
    return other[each] == row[each]


def listed(caller, name, shared, title, query, wanted, *, needs="id", first=False):
    def oracle():
        caller.require(name, "read")
        caller.require_name(name, needs)
        rows = [row for row in shared.rows[name] if wanted(row) and caller.sees(name, row)]
        shown = sorted((caller.shown(name, row) for row in rows), key=by_id)
        return {"check": partial(is_list, name, shown[:1] if first else shown, len(shown))}

    return expecting(Cell(caller, f"{name} {title}", "GET", f"{name}?per_page=200{query}"), oracle)


def by_id(row):
    return row["id"]


def is_list(name, shown, total, answer):
    found = sorted((own_fields(name, row) for row in answer["data"]), key=by_id)
    return found == shown and answer["meta"]["total"] == total


# -- One record --


def single(caller, name, shared):
    for row in shared.rows[name]:
        ways = ("id", "code") if name == "project" else ("id",)
        for by in ways:
            yield one(caller, name, row, "get", f"{name}/{row[by]}", by=by)
        yield one(caller, name, row, "head", f"{name}/{row['id']}", method="HEAD")
        yield one(caller, name, row, "fields", f"{name}/{row['id']}?fields=secret", needs="secret")


def one(caller, name, row, title, path, *, by="id", needs="id", method="GET"):
    def oracle():
        caller.require(name, "read")
        caller.require_name(name, needs)
        caller.require_row(name, row, by=by)
        shown = caller.shown(name, row)
        if needs == "secret":
            shown = {"id": row["id"], "secret": row["secret"]}
        return {"check": lambda answer: own_fields(name, answer["data"]) == shown}

    return expecting(Cell(caller, f"{name} {title} by {by}", method, path), oracle)


# -- Other entities --


def includes(caller, name, key, shared):
    target, _, many = HOPS[name, key]
    for row in shared.rows[name]:

        def oracle(row=row):
            caller.require(name, "read")
            caller.require_walk(name, key)
            caller.require_row(name, row)
            near = [other for other in shared.near(name, key, row) if caller.sees(target, other)]
            shown = [caller.shown(target, other) for other in sorted(near, key=by_id)]
            wanted = shown if many else (shown or [None])[0]
            return {"check": lambda answer: answer["data"][key] == wanted}

        yield expecting(Cell(caller, f"{name} include {key}", "GET", f"{name}/{row['id']}?include={key}"), oracle)


def related_filters(caller, name, key, shared):
    target = HOPS[name, key][0]
    for other in shared.rows[target]:
        for each in ("id", "secret"):

            def oracle(other=other, each=each):
                caller.require(name, "read")
                caller.require_walk(name, key)
                caller.require_name(target, each)
                meets = partial(same, other, each)
                return {"check": partial(has_ids, [
                    row["id"] for row in shared.rows[name] if caller.sees(name, row)
                    and any(meets(near) and caller.sees(target, near) for near in shared.near(name, key, row))
                ])}  # fmt: skip

            path = f"{name}?per_page=200&filter[{key}.{each}]={other[each]}"
            yield expecting(Cell(caller, f"{name} filter {key}.{each}", "GET", path), oracle)


def has_ids(ids, answer):
    return sorted(row["id"] for row in answer["data"]) == sorted(ids) and answer["meta"]["total"] == len(ids)


def paths(caller, shared):
    for far in ("labels", "tasks"):

        def two_hops(far=far):
            caller.require("task", "read")
            caller.require_walk("task", "project")
            caller.require_walk("project", far)
            return {"check": lambda answer: all(is_tree(caller, shared, far, row) for row in answer["data"])}

        yield expecting(Cell(caller, f"include project.{far}", "GET", f"task?include=project.{far}"), two_hops)

    def ordered():
        caller.require("task", "read")
        caller.require_walk("task", "project")
        caller.require_name("project", "name")
        tasks = [row for row in shared.rows["task"] if caller.sees("task", row)]
        wanted = [row["id"] for row in sorted(tasks, key=partial(place, caller, shared))]
        return {"check": lambda answer: [row["id"] for row in answer["data"]] == wanted}

    yield expecting(Cell(caller, "sort project.name", "GET", "task?per_page=200&sort=project.name"), ordered)


def place(caller, shared, task):
    """A project that is hidden is null, and null is last."""
    (project,) = shared.near("task", "project", task)
    return (not caller.sees("project", project), project["name"] if caller.sees("project", project) else "", task["id"])


def is_tree(caller, shared, far, record):
    row = next(row for row in shared.rows["task"] if row["id"] == record["id"])
    (project,) = shared.near("task", "project", row)
    if not caller.sees("project", project):
        return record["project"] is None
    target = HOPS["project", far][0]
    near = [other for other in shared.near("project", far, project) if caller.sees(target, other)]
    shown = [caller.shown(target, other) for other in sorted(near, key=by_id)]
    return record["project"] == {**caller.shown("project", project), far: shown} | (
        {"deleted_at": None} if "deleted_at" in record["project"] else {}
    )


async def run(start_kernel, chosen):
    world = World()
    cells = list(cells_of(world))
    admin = await open_matrix(start_kernel)
    await seed(admin, {**document(), "sample_data": world.take()})
    count, faults = await run_cells(admin, chosen(cells))
    return len(cells), count, faults


async def test_reads(start_kernel, database):
    cells, count, faults = await run(start_kernel, lambda cells: sample(cells, SHARE, database.driver))
    assert faults == []
    assert cells > 4000
    assert count > cells * SHARE * 0.9


@pytest.mark.torture
async def test_all_reads(start_kernel):
    cells, count, faults = await run(start_kernel, lambda cells: cells)
    assert faults == []
    assert count == cells
