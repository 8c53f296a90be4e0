"""Rocket as `rocket serve` starts it: SQLite with synchronous=full, one worker, no plugins."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.answers import ask
from bench.asks import Ask, get, post
from bench.contender import Page
from bench.processes import ServerProcess, free_port, running
from bench.questions import PER_PAGE, filters, mix, new_products, new_sales, unasked_filters
from bench.rows import CATEGORIES, Record, Rows
from rocket_kernel import __version__, load_config
from rocket_kernel.config import Config
from rocket_kernel.serving.servers import choose_server
from rocket_kernel.store.sqlite import SqliteStore
from rocket_kernel.testing import entity, one_to_many, run_kernel

APP = "bench"
_BASE = f"/api/{APP}"
_OWN = ("title", "category", "price", "qty", "active", "note", "customer")
_LEVELS = ("OFF", "NORMAL", "FULL", "EXTRA")
_PRAGMAS = {"synchronous": "synchronous", "journal mode": "journal_mode", "cache size": "cache_size"}


@dataclass(frozen=True, slots=True)
class Rocket:
    name: str = "rocket"
    title: str = "Rocket"
    server: str = "auto"
    plugins: tuple[str, ...] = ()

    def version(self) -> str:
        return f"{__version__} on {choose_server(self.server)}"

    def seed(self, folder: Path, rows: Rows) -> None:
        with self.serve(folder, None) as server:
            ask(server.address, post("/api/_platform/apps", {"name": APP})).require()
            summary = ask(server.address, post(f"{_BASE}/_admin/import", document(rows))).require()["data"]
            if "errors" in summary:
                raise RuntimeError(f"the import failed: {summary['errors'][:3]}")

    @contextmanager
    def serve(self, folder: Path, core: int | None) -> Iterator[ServerProcess]:
        port = free_port()
        rocket = str(Path(sys.executable).with_name("rocket"))
        command = [rocket, "serve", "--port", str(port), "--data-dir", str(folder), "--server", self.server]
        with running(
            command,
            address=f"127.0.0.1:{port}",
            health="/health",
            core=core,
            folder=folder,
            environ=_environ(self.plugins),
        ) as server:
            yield server

    def settings(self, folder: Path) -> Mapping[str, str]:
        """Asked on the connection that writes, of a kernel in this process with the measured one's configuration."""
        return asyncio.run(_settings(config(folder)))

    def asks(self, scenario: str, rows: Rows) -> Sequence[Ask]:
        listed = get(f"{_BASE}/product")
        creates = [post(f"{_BASE}/product", values) for values in new_products()]
        match scenario:
            case "list":
                return [listed]
            case "filter":
                return [get(f"{_BASE}/product?{_filter(*asked)}") for asked in filters()]
            case "unasked":
                return [get(f"{_BASE}/product?{_filter(*asked)}") for asked in unasked_filters()]
            case "get":
                return [get(f"{_BASE}/product/{row.key.uuid}") for row in rows.products]
            case "includes":
                return [get(f"{_BASE}/product?include=supplier,shelf")]
            case "create":
                return creates
            case "nested":
                return [post(f"{_BASE}/sale", {**sale, "lines": lines}) for sale, lines in new_sales()]
            case "mixed":
                return mix(listed, creates)
        raise ValueError(scenario)

    def page(self, body: Any) -> Page:
        return Page(body["meta"]["total"], [self.record({"data": record}) for record in body["data"]])

    def record(self, body: Any) -> dict[str, Any]:
        record = body["data"]
        shown = {name: record[name] for name in _OWN if name in record}
        for name in ("supplier", "shelf"):
            if name in record:
                shown[name] = {key: value for key, value in record[name].items() if key != "id"}
        return shown

    def totals(self, address: str) -> Mapping[str, int]:
        names = {"products": "product", "sales": "sale", "lines": "line"}
        return {
            name: ask(address, get(f"{_BASE}/{own}?per_page=1")).require()["meta"]["total"]
            for name, own in names.items()
        }


def config(folder: Path) -> Config:
    return load_config(environ=_environ(), cwd=folder, overrides={"database.data_dir": str(folder)})


def document(rows: Rows, *, price: str = "float") -> dict[str, Any]:
    """What `_admin/import` takes: the definitions, and the rows as sample data. `price` is the type of that field."""
    return {
        "version": 1,
        "entities": [
            entity("supplier", name="string!", city="string"),
            entity("shelf", code="string!", aisle="int"),
            entity(
                "product",
                title="string!",
                category=f"string enum={'|'.join(CATEGORIES)}",
                price=price,
                qty="int",
                active="boolean",
                note="text",
                supplier_id="uuid",
                shelf_id="uuid",
                created="timestamp auto=create",
            ),
            entity("sale", customer="string!", note="text", created="timestamp auto=create"),
            entity(
                "line",
                title="string!",
                qty="int",
                price="float",
                sale_id="uuid",
                created="timestamp auto=create",
            ),
        ],
        "relations": [
            one_to_many("supplied", "supplier", "product"),
            one_to_many("stored", "shelf", "product"),
            one_to_many("lines", "sale", "line"),
        ],
        "sample_data": {
            "supplier": [_row(record) for record in rows.suppliers],
            "shelf": [_row(record) for record in rows.shelves],
            "product": [_row(record) for record in rows.products],
        },
    }


def _row(record: Record) -> dict[str, Any]:
    return {"id": record.key.uuid, **record.values, **{f"{link}_id": key.uuid for link, key in record.links.items()}}


def _filter(category: str, price: float) -> str:
    return urlencode({"filter[category]": category, "filter[price.gte]": price, "sort": "-price", "per_page": PER_PAGE})


def _environ(plugins: Sequence[str] = ()) -> dict[str, str]:
    """This process's, without settings of Rocket's; only these plugins, whatever others are installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROCKET_")}
    return {**kept, "ROCKET_PLUGINS__ENABLED": f"[{', '.join(plugins)}]"}


async def _settings(config: Config) -> Mapping[str, str]:
    async with run_kernel(config) as running:
        app = await running.kernel.apps.app(APP)
        if not isinstance(app.store, SqliteStore):
            raise TypeError(app.store)
        async with app.store.write() as tx:
            found = {name: str((await tx.fetch(f"PRAGMA {pragma}"))[0][0]) for name, pragma in _PRAGMAS.items()}
            sqlite = str((await tx.fetch("SELECT sqlite_version()"))[0][0])
    return {"sqlite": sqlite, **found, "synchronous": _LEVELS[int(found["synchronous"])], "request log": "none"}
