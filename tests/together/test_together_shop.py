"""The shop, as its customers, the warehouse and account managers use it."""

from __future__ import annotations

from typing import Any

from rocket_kernel.testing import Client

ORDER = {"email": "customer@example.com", "customer_id": 1}


async def test_shop(open_site, findings, forbidden):
    site = await open_site("shop")
    customer = await site.person("customer", "customer")
    manager = await site.person("manager", "manager")
    warehouse = await site.person("warehouse", "warehouse")
    await customers_look_around(customer, manager, forbidden)
    order = await customers_fill_a_cart(customer, findings, forbidden)
    await a_small_order_is_accepted(site, customer, findings, order)
    await the_warehouse_ships(site, customer, warehouse, findings, forbidden, order)
    await a_large_order_is_decided(site, customer, manager, findings, forbidden)
    await products_are_kept(site, manager, findings)


async def customers_look_around(customer: Client, manager: Client, forbidden: Any) -> None:
    shown = (await customer.get("product?sort=name&include=categories")).require(200)
    assert [product["sku"] for product in shown.data] == ["PO-001", "SF-002", "SF-001"]
    assert shown.data[1]["categories"][0]["name"] == "Science fiction"
    assert not {"cost", "stock"} & set(shown.data[0])
    assert (await customer.get("product/unpublished-sonnets")).status == 404
    assert (await manager.get("product/unpublished-sonnets")).require(200).data["stock"] == 0
    hidden = await customer.get("product?filter[cost.gt]=1")
    assert forbidden(hidden) == "Permission denied for read on product.cost"
    (mine,) = (await customer.get("customer")).data
    assert not {"address", "account_manager"} & set(mine)
    assert (await manager.get("customer/1")).data["address"]["city"] == "Oxford"
    assert (await customer.get("category/poetry?include=categories")).status == 200


async def customers_fill_a_cart(customer: Client, findings: Any, forbidden: Any) -> str:
    too_many = {**ORDER, "number": "A-1", "lines": [{"product_id": 1}, {"product_id": 2, "qty": 4}]}
    assert findings(await customer.post("order", too_many)) == [("lines[1]", "Not that many in stock")]
    assert findings(await customer.post("order", {**ORDER, "number": "A-1", "discount": 50})) == [
        ("discount", "No permission to write discount")
    ]
    cheap = {**ORDER, "number": "A-1", "lines": [{"product_id": 1, "qty": 0}, {"product_id": 2, "price": "1"}]}
    assert findings(await customer.post("order", cheap)) == [("lines[1].price", "No permission to write price")]
    assert findings(await customer.post("order", {**ORDER, "number": "A-1", "lines": cheap["lines"][:1]})) == [
        ("lines[0].qty", "Order at least one")
    ]
    strange = await customer.post("order", {"number": "A-1", "email": "edsger@example.com", "customer_id": 2})
    assert forbidden(strange) == "Permission denied for create on order"
    assert findings(await customer.post("order", {**ORDER, "number": "A-1", "customer_id": 2})) == [
        (None, "The customer has another address")
    ]
    filled = {**ORDER, "number": "A-1", "lines": [{"product_id": 1, "qty": 2}, {"product_id": 2}]}
    order = await customer.create("order", filled)
    assert (order["status"], order["subtotal"], order["total"]) == ("cart", "32.30", "32.30")
    lines = (await customer.get(f"order/{order['id']}?include=lines.sold")).data["lines"]
    assert [(line["price"], line["sold"]["sku"]) for line in lines] == [("9.90", "SF-001"), ("12.50", "SF-002")]
    assert (await customer.post("order", filled)).require(409).error["details"][0]["field"] == "number"
    return f"order/{order['id']}"


async def a_small_order_is_accepted(site: Any, customer: Client, findings: Any, order: str) -> None:
    empty = await customer.create("order", {**ORDER, "number": "A-2"})
    assert findings(await customer.put(f"order/{empty['id']}", {"status": "placed"})) == [
        ("status", "Transition from 'cart' to 'placed' blocked by guard")
    ]
    site.receiver.answer(status=403)
    refused = (await customer.put(order, {"status": "placed"})).require(422).error
    assert refused["code"] == "WEBHOOK_REJECTED"
    assert refused["message"].endswith("/fraud.example.com/check failed: HTTP 403")
    assert (await customer.get(order)).data["status"] == "cart"
    placed = (await customer.put(order, {"status": "placed"})).require(200).data
    assert placed["placed_at"] is not None
    await site.value(order, "status", "accepted")
    told = await site.called("/mail.example.com/hooks/order", number="A-1", status="accepted")
    assert "user" not in told
    assert (await customer.put(f"order/{empty['id']}", {"status": "cancelled"})).status == 200


async def the_warehouse_ships(
    site: Any, customer: Client, warehouse: Client, findings: Any, forbidden: Any, order: str
) -> None:
    numbers = [each["number"] for each in (await warehouse.get("order?sort=number")).require(200).data]
    assert numbers == ["2026-0001", "2026-0002", "A-1"]
    assert forbidden(await customer.put(order, {"status": "shipped"})) == "Permission denied for update on order"
    assert findings(await warehouse.put(order, {"total": "1"})) == [("total", "No permission to write total")]
    (await warehouse.put(order, {"status": "shipped"})).require(200)
    sent = (await customer.get(f"{order}?include=shipment")).require(200).data
    assert (sent["status"], sent["shipment"]["carrier"]) == ("shipped", "Parcel service")
    await site.called("/mail.example.com/hooks/order", number="A-1", status="shipped")
    assert forbidden(await warehouse.put(order, {"status": "accepted"})) == "Permission denied for update on order"
    assert (await warehouse.put("product/2", {"stock": 2})).status == 200
    assert findings(await warehouse.put("product/2", {"stock": -1})) == [("stock", "field stock failed min validation")]
    assert findings(await warehouse.put("product/2", {"price": "1"})) == [("price", "No permission to write price")]
    kept = await site.admin.delete("order/6c1f0e5a-3b0d-4f63-9a52-0f2f5d2f9a02")
    assert findings(kept) == [(None, "Orders that were placed are kept")]


async def a_large_order_is_decided(site: Any, customer: Client, manager: Client, findings: Any, forbidden: Any) -> None:
    stranger = await site.person("another-manager", "manager")
    for number, decision, status in (("A-3", "approve", "accepted"), ("A-4", "reject", "cancelled")):
        order = await customer.create("order", {**ORDER, "number": number, "lines": [{"product_id": 3, "qty": 4}]})
        path = f"order/{order['id']}"
        (await customer.put(path, {"status": "placed"})).require(200)
        asked = await site.pending(manager, "order_acceptance")
        assert (asked["context"]["number"], asked["context"]["total"]) == (number, "720.00")
        assert (await stranger.get("_workflows/pending")).data == []
        assert (await stranger.get(f"_workflows/{asked['id']}")).status == 404
        too_much = await manager.put(path, {"discount": 60})
        assert findings(too_much) == [("discount", "Half off is the most")]
        line = (await customer.get(f"{path}?include=lines")).data["lines"][0]
        changed = await site.admin.put(path, {"lines": [{"id": line["id"], "qty": 1}]})
        assert findings(changed) == [("lines[0]", "A placed order is not changed")]
        refused = await customer.post(f"_workflows/{asked['id']}/approve")
        assert forbidden(refused) == "You are not an assignee of this step"
        (await manager.post(f"_workflows/{asked['id']}/{decision}", {"comment": "Well"})).require(200)
        await site.value(path, "status", status)
        await site.called("/mail.example.com/hooks/order", number=number, status=status)


async def products_are_kept(site: Any, manager: Client, findings: Any) -> None:
    book = {
        "sku": "sf 3",
        "name": "Solaris",
        "price": "3",
        "cost": "4",
        "categories": [{"id": 3}, {"name": "Classics"}],
    }
    assert findings(await manager.post("product", book)) == [
        ("sku", "A SKU looks like AB-123"),
        (None, "The price is below the cost"),
    ]
    made = await manager.create("product", {**book, "sku": "SF-003", "price": 13})
    assert (made["slug"], made["price"], made["on_sale"]) == ("solaris-2", "13.00", True)
    linked = (await manager.get("product/solaris-2?include=categories")).data["categories"]
    assert [category["slug"] for category in linked] == ["science-fiction", "classics"]
    assert (await manager.delete("product/1")).require(409).error["message"] == (
        "Cannot delete: 2 related line records exist"
    )
    (await manager.delete("product/solaris-2")).require(200)
    await site.called("/search.example.com/hooks/forget", sku="SF-003")
    assert (await manager.get("product/solaris-2")).status == 404
    assert (await site.admin.delete("category/1")).status == 409
