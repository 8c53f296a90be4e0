"""The rows, and that both servers are asked the same about them."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from bench.agreement import require_stored
from bench.asks import FRESH_ID
from bench.costs import by_room, function_name, room
from bench.pocketbase import PocketBase
from bench.questions import SCENARIOS, mix
from bench.rocket import Rocket, document
from bench.rows import make_rows

ROWS = make_rows(50)


def test_rows_are_the_same_every_time_and_prices_differ():
    assert make_rows(50) == ROWS
    assert len({row.values["price"] for row in ROWS.products}) == len(ROWS.products)


def test_a_key_has_the_form_of_each_server():
    for row in ROWS.products:
        assert len(row.key.short) == len(FRESH_ID)
        assert row.key.short.isalnum()
        assert row.key.uuid.count("-") == 4


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_both_are_asked_equally_often_and_in_the_same_way(name):
    ours, theirs = Rocket().asks(name, ROWS), PocketBase().asks(name, ROWS)
    assert len(ours) == len(theirs) > 0
    if name != "nested":
        assert [(ask.method, ask.body) for ask in ours] == [(ask.method, ask.body) for ask in theirs]


def test_nested_creates_bring_the_same_records():
    ours, theirs = Rocket().asks("nested", ROWS)[0], PocketBase().asks("nested", ROWS)[0]
    sale = json.loads(ours.body)
    outer, *lines = [request["body"] for request in json.loads(theirs.body)["requests"]]
    assert {name: outer[name] for name in ("customer", "note")} == {name: sale[name] for name in ("customer", "note")}
    assert [{key: line[key] for key in line if key != "sale"} for line in lines] == sale["lines"]
    assert {outer["id"], *(line["sale"] for line in lines)} == {FRESH_ID}


def test_filters_mean_the_same():
    ours, theirs = Rocket().asks("filter", ROWS)[3], PocketBase().asks("filter", ROWS)[3]
    own, their = parse_qs(urlsplit(ours.target).query), parse_qs(urlsplit(theirs.target).query)
    category, price = own["filter[category]"][0], own["filter[price.gte]"][0]
    assert their["filter"] == [f"category='{category}' && price>={price}"]
    assert own["sort"] == their["sort"] == ["-price"]
    assert own["per_page"] == their["perPage"]


def test_one_of_ten_is_a_write():
    mixed = mix("read", ["write"] * 5)
    assert (mixed.count("read"), mixed.count("write")) == (45, 5)


def test_the_import_holds_all_rows_under_their_keys():
    found = document(ROWS)
    assert {name: len(rows) for name, rows in found["sample_data"].items()} == {
        "supplier": 50,
        "shelf": 200,
        "product": 50,
    }
    assert found["sample_data"]["product"][0]["id"] == ROWS.products[0].key.uuid


def test_every_answered_create_must_be_there():
    require_stored("create", {"products": 10}, {"products": 110}, 100, 4)
    require_stored("create", {"products": 10}, {"products": 118}, 100, 4)
    require_stored("list", {}, {}, 100, 4)
    for after in (109, 119):
        with pytest.raises(Exception, match="100 requests were answered"):
            require_stored("create", {"products": 10}, {"products": after}, 100, 4)


def test_half_a_nested_create_is_found():
    before = {"sales": 0, "lines": 0}
    require_stored("nested", before, {"sales": 10, "lines": 100}, 10, 0)
    with pytest.raises(Exception, match="95 lines were stored"):
        require_stored("nested", before, {"sales": 10, "lines": 95}, 10, 0)


def test_costs_are_gathered_by_room():
    sql = ("~", 0, "<method 'execute' of 'sqlite3.Connection' objects>")
    query = ("/x/rocket_kernel/query/sql.py", 3, "visible")
    reader = ("/x/rocket_kernel/query/reader.py", 9, "show")
    library = ("/v/site-packages/quart/app.py", 1, "f")
    stats = {key: (1, 1, own, own, {}) for key, own in ((sql, 5.0), (query, 3.0), (reader, 1.0), (library, 1.0))}
    assert by_room(stats) == [("SQLite", 0.5), ("rocket_kernel/query", 0.4), ("quart", 0.1)]
    assert room(("~", 0, "<built-in method posix.urandom>")) == "Python's own"
    assert function_name(query) == "query/sql.py:visible"
