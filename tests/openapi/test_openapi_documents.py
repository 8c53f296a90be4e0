"""Documents are valid, tell everything that is served, and name to a caller only what it may touch."""

import json
import re
from collections import Counter

from openapi_spec_validator import validate

from rocket_kernel import AccessClass, Actor, Plugin, Route, data, hookimpl
from rocket_kernel.openapi.document import is_of_entity
from rocket_kernel.testing import Actors, entity

ADMIN_ONLY = AccessClass.ADMIN
METHODS = {"get", "post", "put", "patch", "delete"}


def operations(document):
    return [(method, path, told) for path, item in document["paths"].items() for method, told in item.items()]


async def test_documents_of_every_caller_are_valid_openapi(shop):
    for client in (shop.admin, await shop.user("clerk"), await shop.user(), shop.stranger):
        document = await shop.described(client)
        validate(document)
        assert document["openapi"].startswith("3.1")
        assert document["servers"] == [{"url": "/api/shop"}]
        ids = Counter(told["operationId"] for _, _, told in operations(document))
        assert ids.most_common(1)[0][1] == 1


async def test_every_route_that_is_served_says_what_it_does(shop):
    kernel = shop.running.kernel
    assert [(route.method, route.path) for _, route in kernel.router.routes if route.operation is None] == []
    assert [kind.name for kind in kernel.parts.kinds.ordered if kind.schema is None] == []


async def test_an_administrator_is_told_every_route(shop):
    document = await shop.described(shop.admin)
    told = {(method.upper(), re.sub(r"\{\w+\}", ":", path)) for method, path, _ in operations(document)}
    for _, route in shop.running.kernel.router.routes:
        if route.segments[:2] != ("api", ":app"):
            continue
        parts = ["book" if part == ":entity" and is_of_entity(route) else part for part in route.segments[2:]]
        path = "/" + "/".join(":" if part.startswith(":") else part for part in parts)
        assert (route.method, path) in told, route.path


async def test_nothing_is_told_that_is_not_served(shop):
    """Every operation of the administrator's document answers, and not with `Route not found`."""
    document = await shop.described(shop.admin)
    for method, path, _ in operations(document):
        answer = await shop.admin.request("OPTIONS", path.removeprefix("/").replace("{", "").replace("}", ""))
        assert method.upper() in answer.headers["Allow"].split(", "), path


async def test_nobody_in_particular_is_told_what_is_open_to_everybody(shop):
    document = await shop.described(shop.stranger)
    assert set(document["paths"]) == {
        "/_docs",
        "/_docs/{file}",
        "/_files/{id}",
        "/_openapi.json",
        "/auth/accept-invite",
        "/auth/login",
        "/auth/logout",
        "/auth/refresh",
    }
    assert all("security" not in told for _, _, told in operations(document))
    assert re.search(r"\b(book|author|vault)\b", json.dumps(document)) is None


async def test_a_caller_is_told_of_no_entity_and_no_field_that_is_closed_to_it(shop):
    clerk = await shop.user("clerk")
    document = await shop.described(clerk)
    text = json.dumps(document)
    assert "vault" not in text
    assert "profile" not in text
    assert '"cost"' not in text
    assert "filter[cost]" not in text
    assert set(document["paths"]["/book"]) == {"get"}
    assert set(document["paths"]["/book/{id}"]) == {"get", "put", "patch"}
    assert set(document["paths"]["/author"]) == {"get"}
    assert set(document["paths"]["/tag"]) == {"get", "post"}
    assert set(document["components"]["schemas"]["book.change"]["properties"]) == {"price", "state", "tags", "tag"}
    assert "post" not in document["paths"]["/_admin/entities"]
    assert not any(path.startswith("/_admin/rules") for path in document["paths"])


async def test_includes_are_those_the_caller_may_walk(shop):
    def includes(document, path):
        (found,) = [it for it in document["paths"][path]["get"]["parameters"] if it.get("name") == "include"]
        return found["schema"]["items"]["anyOf"][0]["enum"]

    assert includes(await shop.described(shop.admin), "/author") == ["book", "books", "profile"]
    assert includes(await shop.described(await shop.user("clerk")), "/author") == ["book", "books"]
    for key in includes(await shop.described(shop.admin), "/book"):
        (await shop.admin.get(f"book?include={key}")).require(200)


async def test_what_is_hidden_changes_not_a_byte(shop):
    """Two states of the app that differ in what a clerk may not see."""
    clerk = await shop.user("clerk")
    before = await clerk.get("_openapi.json")
    await shop.admin.define(entity("secretive", name="string!", book_id="uuid"))
    await shop.admin.relate({"name": "hush", "type": "one_to_many", "source": "book", "target": "secretive",
                             "target_key": "book_id"})  # fmt: skip
    after = await clerk.get("_openapi.json")
    assert (after.body, after.headers["ETag"]) == (before.body, before.headers["ETag"])
    assert b"secretive" in (await shop.admin.get("_openapi.json")).body


async def test_a_change_of_rights_changes_the_document_at_once(shop):
    clerk = await shop.user("clerk")
    tag = (await clerk.get("_openapi.json")).headers["ETag"]
    body = {"entity": "vault", "action": "read", "roles": ["clerk"]}
    made = await shop.admin.create("_admin/permissions", body)
    changed = await clerk.get("_openapi.json", headers={"If-None-Match": tag})
    assert changed.status == 200
    assert "/vault" in changed.json["paths"]
    (await shop.admin.delete(f"_admin/permissions/{made['id']}")).require(200)
    assert (await clerk.get("_openapi.json")).headers["ETag"] == tag


async def test_a_tag_that_still_holds_is_answered_with_304(shop):
    tag = (await shop.admin.get("_openapi.json")).headers["ETag"]
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*", '"x",' * 5000 + tag):
        answer = await shop.admin.get("_openapi.json", headers={"If-None-Match": header})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    for header in ("", '"x"', tag.strip('"'), ",,,,", '"' * 3000):
        assert (await shop.admin.get("_openapi.json", headers={"If-None-Match": header})).status == 200


async def test_a_wrong_token_is_refused_and_not_taken_for_none(shop):
    for token in ("Bearer nonsense", "Basic abc", "Bearer", "x" * 5000):
        answer = await shop.stranger.get("_openapi.json", headers={"Authorization": token})
        assert (answer.status, answer.error["code"]) == (401, "UNAUTHORIZED")


async def test_an_app_that_is_not_there_has_no_description(shop):
    for path in ("_openapi.json", "_docs", "_docs/docs.js"):
        answer = await shop.stranger.in_app("mall").get(path)
        assert (answer.status, answer.error["message"]) == (404, "App not found: mall")


async def test_head_and_other_methods(shop):
    answer = await shop.admin.request("HEAD", "_openapi.json")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert (await shop.admin.post("_openapi.json", {})).status == 405


async def test_without_permissions_everything_is_open_to_everybody(client):
    """Without a plugin that tells callers apart everybody is administrator, and there are no tokens."""
    await client.define(entity("book", title="string!"))
    document = (await client.get("_openapi.json")).require(200).json
    assert "securitySchemes" not in document["components"]
    assert "post" in document["paths"]["/book"]
    assert "/_admin/export" in document["paths"]


class Reports(Plugin):
    """Routes without description, with shadows, and with other names for the parameters of known paths."""

    name = "reports"

    @hookimpl
    def register_routes(self):
        async def answer(request):
            return data(request.params)

        access = AccessClass.AUTHENTICATED
        return [
            Route(method="GET", path="/api/:app/_reports/:id", access=access, handler=answer, operation=None),
            Route(method="GET", path="/api/:app/book", access=access, handler=answer),
        ]


async def test_routes_of_strangers_without_words_are_left_out_and_shadow_entities(start_kernel):
    running = await start_kernel([Reports, Actors])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    document = (await client.get("_openapi.json")).require(200).json
    validate(document)
    assert "/_reports/{id}" not in document["paths"]
    assert "/book" not in document["paths"]
    assert "/book/{id}" in document["paths"]
    clerk = client.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
    assert (await clerk.get("book")).data == {"app": "shop"}
