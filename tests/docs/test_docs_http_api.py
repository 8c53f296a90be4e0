"""docs/http-api.md: its examples are run against a real server, its tables are compared with the code."""

from __future__ import annotations

import re
from dataclasses import fields

from rocket_kernel import errors
from rocket_kernel.config import Config, DatabaseConfig, ServerConfig
from rocket_kernel.errors import RocketError
from rocket_kernel.http.body import BODY_TIMEOUT_S
from rocket_kernel.json_text import MAX_DEPTH
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.field_types import BUILT_IN
from rocket_kernel.metadata.relation import Relation
from rocket_kernel.query.filters import MAX_LIST, MAX_VALUE
from rocket_kernel.query.parameters import MAX_PAGE, MAX_PARAMETERS
from rocket_kernel.query.parse import MAX_FILTERS, MAX_HOPS, MAX_INCLUDES, MAX_SORT_KEYS
from rocket_kernel.query.values import ListQuery
from rocket_kernel.testing import run_kernel
from rocket_kernel.write.convert import MAX_INDEXED_BYTES
from rocket_kernel.write.idempotency import _LONGEST

PAGE = "docs/http-api.md"
_CONFIG = Config()

LIMITS = {
    "bytes of a JSON body": _CONFIG.server.max_body_bytes,
    "seconds until a JSON body has arrived": BODY_TIMEOUT_S,
    "nesting of a JSON body": MAX_DEPTH,
    "filters in one request": MAX_FILTERS,
    "values in one `in` or `not_in`": MAX_LIST,
    "characters of one filter value": MAX_VALUE,
    "sort keys": MAX_SORT_KEYS,
    "include paths": MAX_INCLUDES,
    "relations in one include path": _CONFIG.limits.include_depth,
    "relations in one filter or sort path": MAX_HOPS,
    "query parameters": MAX_PARAMETERS,
    "`per_page`": _CONFIG.limits.max_per_page,
    "`page`": MAX_PAGE,
    "depth of a nested write": _CONFIG.limits.nested_depth,
    "records in one write": _CONFIG.limits.nested_records,
    "characters of an `Idempotency-Key`, visible ASCII ones": _LONGEST,
    "bytes of a text in a unique field, a primary key or a relation key": MAX_INDEXED_BYTES,
}
TYPES = {
    "all": set(BUILT_IN),
    "all but json": set(BUILT_IN) - {"json"},
    "all but json and boolean": set(BUILT_IN) - {"json", "boolean"},
    "string, text": {"string", "text"},
}
ORIGIN = "https://shop.example"
BOOK = {
    "name": "book",
    "primary_key": {"field": "id", "type": "int", "generated": True},
    "fields": [{"name": "id", "type": "int"}],
}


def codes(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def test_http_api_examples_are_answered_as_shown(page, server_process):
    exchanges = page(PAGE).exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) > 20
    for exchange in exchanges:
        server_process.check(exchange)


def test_http_api_errors_are_those_of_the_kernel(page):
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RocketError)]
    known: dict[str, set[int]] = {}
    for kind in kinds:
        known.setdefault(kind.code, set()).add(kind.status)
    shown = {
        codes(code)[0]: {int(one) for one in status.split(", ")} for code, status, _ in page(PAGE).table("## Errors")
    }
    assert shown == known


def test_http_api_operators_are_those_of_the_types(page):
    shown: dict[str, set[str]] = {name: set() for name in BUILT_IN}
    for operators, _, types in page(PAGE).table("### Filters"):
        for name in TYPES[types]:
            shown[name].update(codes(operators))
    assert shown == {name: set(type.operators) for name, type in BUILT_IN.items()}


def test_http_api_lists_the_types(page):
    shown = [name for types, _, _ in page(PAGE).table("### Values") for name in codes(types)]
    assert shown == list(BUILT_IN)


def test_http_api_limits_are_those_of_the_code(page):
    rows = page(PAGE).table("## Limits")
    assert {what: int(limit.partition(",")[0]) for what, limit, _ in rows} == LIMITS


def test_http_api_page_size_is_the_default(page):
    ((_, _, default),) = [row for row in page(PAGE).table("### Lists") if row[0] == "`per_page`"]
    assert int(default) == ListQuery().per_page


def test_http_api_lists_the_properties_of_definitions(page):
    entity, field = page(PAGE).tables("### Entities")
    relation = page(PAGE).table("### Relations")
    for rows, kind in ((entity, Entity), (field, Field), (relation, Relation)):
        shown = [name for cell, *_ in rows for name in codes(cell)]
        assert sorted(shown) == sorted({one.name for one in fields(kind)} - {"definition"})


async def test_http_api_headers_are_sent(page, tmp_path):
    database = DatabaseConfig(data_dir=tmp_path, synchronous="off")
    config = Config(server=ServerConfig(cors_origins=(ORIGIN,)), database=database)
    async with run_kernel(config) as running:
        shop = await running.client.with_headers({"Origin": ORIGIN}).app("shop")
        await shop.define(BOOK)
        found = (await shop.get("book")).headers
        refused = (await shop.put("book", {})).headers
        options = (await shop.request("OPTIONS", "book")).headers
        await shop.post("book", {}, headers={"Idempotency-Key": "one"})
        again = (await shop.post("book", {}, headers={"Idempotency-Key": "one"})).headers
        await running.kernel.apps.management.close()
        away = await running.client.get("/ready")
    assert refused["Allow"] == options["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert away.status == 503
    sent = {name.lower(): value for headers in (away.headers, refused, again, found) for name, value in headers.items()}
    for cell, _ in page(PAGE).table("## Headers"):
        name, _, value = codes(cell)[0].partition(": ")
        assert sent[name.lower()] == (value or sent[name.lower()])
