"""Filters that walk relations: contract §3.2."""

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many, one_to_one

SOFT = {"soft_delete": True}


async def ids(client, path, **filters):
    params = {f"filter[{key.replace('__', '.')}]": value for key, value in filters.items()}
    answer = (await client.get(path, params=params)).require(200)
    assert answer.meta["total"] == len(answer.data)
    return [row["id"] for row in answer.data]


@pytest.fixture
async def shop(client):
    """Customers 1 to 4; orders 1 to 6, of which 5 is deleted and 6 is nobody's; lines and tags on some."""
    await client.define(
        entity("customer", SOFT, id="int", name="string", city="string"),
        entity("order", SOFT, id="int", customer_id="int", total="decimal:2", paid="boolean", note="string"),
        entity("line", id="int", order_id="int", sku="string", qty="int"),
        entity("tag", SOFT, id="int", label="string"),
        entity("passport", id="int", customer_id="int", number="string"),
    )
    await client.relate(
        one_to_many("orders", "customer", "order"),
        one_to_many("lines", "order", "line"),
        many_to_many("tags", "order", "tag"),
        one_to_one("passport", "customer", "passport"),
    )
    for name, city in (("Ann", "Rome"), ("Bob", "Oslo"), ("Cid", None), ("Dee", "Rome")):
        await client.create("customer", {"name": name, "city": city})
    for label in ("new", "old", "rare"):
        await client.create("tag", {"label": label})
    for customer, total, paid, note, tags in (
        (1, "10", True, "a", ["1"]),
        (1, "20", False, None, ["2"]),
        (2, "30", True, "b", ["1", "2"]),
        (3, "5", False, "c", ["3"]),
        (4, "99", True, "d", ["1"]),
        (None, "7", True, "e", []),
    ):
        body = {"customer_id": customer, "total": total, "paid": paid, "note": note, "tags": tags}
        await client.create("order", body)
    for order, sku, qty in ((1, "x", 1), (1, "y", 5), (2, "x", 9), (3, "z", 1), (5, "x", 9)):
        await client.create("line", {"order_id": order, "sku": sku, "qty": qty})
    await client.create("passport", {"customer_id": 2, "number": "P2"})
    await client.delete("order/5")
    await client.delete("tag/3")
    return client


async def test_a_related_row_must_exist(shop):
    cases = [
        ("customer", {"orders__total": "10"}, [1]),
        ("customer", {"orders__total__gte": "10"}, [1, 2]),
        ("customer", {"order__paid": "false"}, [1, 3]),
        ("customer", {"orders__lines__sku": "x"}, [1]),
        ("customer", {"orders__lines__qty__between": "5,9"}, [1]),
        ("customer", {"orders__tags__label": "new"}, [1, 2]),
        ("customer", {"orders__tags__label__in": "old,rare"}, [1, 2]),
        ("customer", {"passport__number": "P2"}, [2]),
        ("order", {"customer__name": "Ann"}, [1, 2]),
        ("order", {"customer__name__ilike": "A%"}, [1, 2]),
        ("order", {"customer__passport__number__like": "P_"}, [3]),
        ("order", {"tags__label": "old"}, [2, 3]),
        ("tag", {"order__total__gt": "15"}, [2, 1]),
        ("tag", {"order__customer__city": "Rome"}, [1, 2]),
        ("line", {"order__customer__city": "Rome"}, [1, 2, 3]),
        ("line", {"order__tags__label": "old"}, [3, 4]),
        ("passport", {"customer__orders__lines__sku": "z"}, [1]),
    ]
    for path, filters, expected in cases:
        assert await ids(shop, path, **filters) == sorted(expected), filters


async def test_no_related_row_is_no_match_whatever_is_asked(shop):
    # Customer 4's only order is deleted, order 6 has no customer, tag 3 is deleted.
    assert await ids(shop, "customer", orders__id__gt="0") == [1, 2, 3]
    assert await ids(shop, "customer", orders__total__neq="10") == [1, 2, 3]
    assert await ids(shop, "customer", orders__note__is_null="true") == [1]
    assert await ids(shop, "customer", orders__note__is_null="false") == [1, 2, 3]
    assert await ids(shop, "customer", orders__id__not_in="") == [1, 2, 3]
    assert await ids(shop, "customer", orders__id__in="") == []
    assert await ids(shop, "order", customer__city__is_null="true") == [4]
    assert await ids(shop, "order", customer__city__neq="Rome") == [3]
    assert await ids(shop, "order", tags__id__gt="0") == [1, 2, 3]
    assert await ids(shop, "customer", passport__number__neq="P1") == [2]


async def test_filters_of_one_path_meet_in_one_row(shop):
    # Order 1 has a line x of 1 and a line y of 5, order 2 a line x of 9.
    assert await ids(shop, "order", lines__sku="x", lines__qty="5") == []
    assert await ids(shop, "order", lines__sku="y", lines__qty="5") == [1]
    assert await ids(shop, "customer", orders__paid="true", orders__lines__qty="9") == []
    assert await ids(shop, "customer", orders__paid="false", orders__lines__qty="9") == [1]
    assert await ids(shop, "customer", orders__lines__sku="x", orders__lines__qty__gt="8", orders__total="20") == [1]
    assert await ids(shop, "customer", orders__total__gt="5", orders__total__lt="15") == [1]
    # Two keys of one relation are two paths: each may find a row of its own.
    assert await ids(shop, "order", lines__sku="x", line__qty="5") == [1]
    assert await ids(shop, "customer", orders__paid="true", order__paid="false") == [1]


async def test_all_spellings_of_a_key_are_one(shop):
    for query in (
        "filter[orders.total.gte]=30",
        "filter[orders][total][gte]=30",
        "filter[orders.total][gte]=30",
        "filter[orders][total.gte]=30",
        "filter[ orders . total . gte ]=30",
        "filter[orders.total.gte]=1&filter[orders][total][gte]=30",
    ):
        assert [row["id"] for row in (await shop.get(f"customer?{query}")).require(200).data] == [2], query


async def test_keys_that_name_nothing(shop):
    unknown = ["orders", "orders.x", "orders.x.eq", "x.total", "orders.lines", "orders.lines.x", "orders.eq", "orders.total.eq.eq",
               "orders.", ".orders", "orders..total", "total.orders.id", "ORDERS.total"]  # fmt: skip
    for key in unknown:
        answer = await shop.get("customer", params={f"filter[{key}]": "1"})
        assert_error(answer, 400, "UNKNOWN_FIELD", f"Unknown filter field: {key}", [])
    for key, operator in {"orders.total.is": "is", "orders.lines.sku.Like": "Like", "orders.paid.gt": "gt"}.items():
        answer = await shop.get("customer", params={f"filter[{key}]": "1"})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Unknown filter operator: {operator}", [])
    answer = await shop.get("customer", params={"filter[orders.lines.qty]": "many"})
    assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid filter value for qty: many", [])
    # Names are checked in the order given, each with its value.
    answer = await shop.get("customer?filter[orders.total]=x&filter[nope]=1")
    assert_error(answer, 400, "INVALID_PAYLOAD", "Invalid filter value for total: x", [])


async def test_a_field_goes_before_a_relation_of_its_name(client):
    await client.define(
        entity("author", id="int", eq="string", name="string"),
        entity("book", id="int", author_id="int", author="string", like="string"),
    )
    await client.relate(one_to_many("books", "author", "book"))
    await client.create("author", {"eq": "E", "name": "N"})
    await client.create("book", {"author_id": 1, "author": "A", "like": "L"})
    assert await ids(client, "book", author="A") == [1]
    assert await ids(client, "book", author__eq="A") == [1]
    assert await ids(client, "book", author__eq="E") == []
    assert await ids(client, "book", author__name="N") == [1]
    assert await ids(client, "book", author__eq__eq="E") == [1]
    assert await ids(client, "book", author__name__neq="N") == []
    assert await ids(client, "book", like="L") == await ids(client, "book", like__like="%L") == [1]
    assert await ids(client, "author", books__like="L") == [1]
    answer = await client.get("book?filter[author_id.name]=N")
    assert_error(answer, 400, "INVALID_PAYLOAD", "Unknown filter operator: name", [])


async def test_an_entity_related_to_itself(client):
    await client.define(entity("node", SOFT, id="int", parent_id="int", n="string"))
    await client.relate(
        one_to_many("children", "node", "node", "parent_id"),
        many_to_many("friends", "node", "node", "friendship", source_join_key="a", target_join_key="b"),
    )
    for parent, n, friends in (
        (None, "root", []),
        (1, "a", ["1"]),
        (1, "b", ["2"]),
        (2, "c", ["1", "3"]),
        (4, "d", []),
    ):
        await client.create("node", {"parent_id": parent, "n": n, "friends": friends})
    assert await ids(client, "node", parent__n="root") == [2, 3]
    assert await ids(client, "node", children__n="c") == [2]
    assert await ids(client, "node", node__n="c") == [2]
    assert await ids(client, "node", children__children__n="d") == [2]
    assert await ids(client, "node", parent__parent__parent__n="root") == [5]
    assert await ids(client, "node", parent__children__n="b") == [2, 3]
    assert await ids(client, "node", friends__n="root") == [2, 4]
    assert await ids(client, "node", friends__friends__n="root") == [3]
    assert await ids(client, "node", children__parent__children__parent__id="1") == [1]
    await client.delete("node/2")
    assert await ids(client, "node", parent__n="a") == []
    assert await ids(client, "node", children__children__n="d") == []
    assert await ids(client, "node", friends__friends__n="root") == []


async def test_a_key_beyond_the_primary_one(client):
    await client.define(
        entity("country", id="int", code="decimal unique"), entity("city", id="int", code="decimal", n="string")
    )
    await client.relate(one_to_many("cities", "country", "city", "code", source_key="code"))
    for code in ("1.50", "2", None):
        await client.create("country", {"code": code})
    for code, n in (("1.5", "a"), (None, "b"), ("2.000", "c")):
        await client.create("city", {"code": code, "n": n})
    # 1.50 and 1.5 are one number; nulls never meet.
    assert await ids(client, "country", cities__n="a") == [1]
    assert await ids(client, "country", cities__id__gt="0") == [1, 2]
    assert await ids(client, "city", country__id="2") == [3]
    assert await ids(client, "city", cities__code="1.50") == [1]
