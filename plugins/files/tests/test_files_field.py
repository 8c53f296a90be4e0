"""The field type `file`: contract §13.4, on both databases."""

import json

import pytest

from rocket_kernel.testing import assert_error, entity, many_to_many, one_to_many

NO_ID = "12345678-90ab-4cde-8f01-234567890abc"


@pytest.fixture
async def client(start_files):
    _, client = await start_files()
    await client.define(
        entity("book", title="string", cover="file", scan="file"),
        entity("author", name="string", photo="file!"),
        entity("stamp", image="file unique"),
    )
    await client.define(entity("chapter", {"soft_delete": True}, author_id="uuid", drawing="file"))
    await client.relate(one_to_many("chapters", "author", "chapter", target_key="author_id"))
    return client


def value_of(file):
    return {name: file[name] for name in ("id", "filename", "size", "mime_type", "url")}


async def test_every_accepted_form(client, upload):
    file = await upload(client, b"\x89PNG\r\n\x1a\n....", "a b.png", "image/png")
    forms = (
        file["id"],
        file["id"].upper(),
        {"id": file["id"]},
        {"id": file["id"], "filename": "forged.exe", "size": -1, "url": "https://evil.example"},
        file,
        json.dumps({"id": file["id"]}),
        json.dumps(file),
    )
    for form in forms:
        book = await client.create("book", {"title": "x", "cover": form})
        assert book["cover"] == value_of(file)
        assert list(book["cover"]) == ["id", "filename", "size", "mime_type", "url"]
        assert (book["scan"], book["cover"]["url"]) == (None, f"/api/shop/_files/{file['id']}")
        assert (await client.get(f"book/{book['id']}")).data == book
    listed = (await client.get("book")).data
    assert [list(book["cover"]) for book in listed] == [list(value_of(file))] * len(forms)
    for empty in (None, ""):
        changed = await client.put(f"book/{book['id']}", {"cover": empty})
        assert changed.data["cover"] is None


async def test_what_is_refused(client):
    for value in ("x", NO_ID[:-1], 7, True, [], [NO_ID], {}, {"id": 7}, {"id": "x"}, "{", "{}", json.dumps([NO_ID])):
        refused = await client.post("book", {"cover": value})
        finding = {"field": "cover", "rule": "type", "message": "cover must be a valid file"}
        assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", details=[finding])
    refused = await client.post("book", {"cover": NO_ID, "scan": {"id": NO_ID}, "title": "x"})
    findings = [{"field": name, "rule": "file", "message": f"File {NO_ID} not found"} for name in ("cover", "scan")]
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", details=findings)
    missing = await client.post("author", {"name": "x"})
    assert missing.error["details"] == [{"field": "photo", "rule": "required", "message": "photo is required"}]


async def test_updates_keep_what_they_do_not_change(client, upload):
    file, other = await upload(client), await upload(client, b"more", "other.txt")
    book = await client.create("book", {"title": "x", "cover": file["id"], "scan": other["id"]})
    again = await client.put(f"book/{book['id']}", {**book, "title": "y"})
    assert again.require(200).data == {**book, "title": "y"}
    swapped = await client.patch(f"book/{book['id']}", {"cover": other["id"]})
    assert (swapped.data["cover"]["filename"], swapped.data["scan"]["filename"]) == ("other.txt", "other.txt")


async def test_the_record_keeps_what_it_knows_of_a_file_that_is_gone(client, upload):
    file = await upload(client)
    book = await client.create("book", {"cover": file["id"]})
    await client.delete(f"_files/{file['id']}")
    assert (await client.get(f"book/{book['id']}")).data["cover"] == value_of(file)
    # A client that sends the record back as it was must be able to change something else.
    assert (await client.put(f"book/{book['id']}", {**book, "title": "y"})).status == 200
    refused = await client.post("book", {"cover": file["id"]})
    assert refused.error["details"][0]["rule"] == "file"
    assert (await client.put(f"book/{book['id']}", {"scan": file["id"]})).status == 422


async def test_filters(client, upload):
    first, second, third = [await upload(client, b"x" * number) for number in range(3)]
    books = {}
    for name, file in (("a", first), ("b", second), ("c", third), ("d", None)):
        books[name] = await client.create("book", {"title": name, "cover": file and file["id"]})

    async def found(query):
        return [book["title"] for book in (await client.get(f"book?sort=title&{query}")).require(200).data]

    assert await found(f"filter[cover]={first['id']}") == ["a"]
    assert await found(f"filter[cover]={first['id'].upper()}") == ["a"]
    assert await found(f"filter[cover.neq]={first['id']}") == ["b", "c"]
    assert await found(f"filter[cover.in]={first['id']},{third['id']}, {NO_ID}") == ["a", "c"]
    assert await found("filter[cover.in]=") == []
    assert await found(f"filter[cover.not_in]={first['id']},{third['id']}") == ["b"]
    assert await found("filter[cover.is_null]=true") == ["d"]
    assert await found("filter[cover.is_null]=false") == ["a", "b", "c"]
    assert (await client.get(f"book?filter[cover]={NO_ID}")).meta["total"] == 0
    for value in ("x", "", "{}", json.dumps({"id": NO_ID})):
        refused = await client.get("book", params={"filter[cover]": value})
        assert_error(refused, 400, "INVALID_PAYLOAD", f"Invalid filter value for cover: {value}")
    for operator in ("gt", "lte", "between", "like", "contains"):
        refused = await client.get(f"book?filter[cover.{operator}]={NO_ID}")
        assert_error(refused, 400, "INVALID_PAYLOAD", f"Unknown filter operator: {operator}")
    refused = await client.get("book?sort=cover")
    assert_error(refused, 400, "UNKNOWN_FIELD", "Unknown sort field: cover")


async def test_one_file_in_one_record_where_it_is_unique(client, upload):
    file, other = await upload(client), await upload(client)
    stamp = await client.create("stamp", {"image": file["id"]})
    await client.create("stamp", {"image": None})
    await client.create("stamp", {"image": None})
    twice = await client.post("stamp", {"image": file})
    detail = {"field": "image", "rule": "unique", "message": "image already exists"}
    assert_error(twice, 409, "CONFLICT", "A record with this value already exists", details=[detail])
    assert (await client.put(f"stamp/{stamp['id']}", {"image": other["id"]})).status == 200
    assert (await client.post("stamp", {"image": file["id"]})).status == 201


async def test_nested_records_have_files_too(client, upload):
    photo, drawing = await upload(client), await upload(client)
    body = {
        "name": "x",
        "photo": photo["id"],
        "chapters": [{"drawing": drawing["id"]}, {"drawing": NO_ID}, {"drawing": 7}],
    }
    refused = await client.post("author", body)
    assert refused.error["details"] == [
        {"field": "chapters[2].drawing", "rule": "type", "message": "drawing must be a valid file"}
    ]
    del body["chapters"][2]
    refused = await client.post("author", body)
    finding = {"field": "chapters[1].drawing", "rule": "file", "message": f"File {NO_ID} not found"}
    assert_error(refused, 422, "VALIDATION_FAILED", details=[finding])
    assert (await client.get("author")).meta["total"] == 0
    del body["chapters"][1]
    author = await client.create("author", body)
    shown = (await client.get(f"author/{author['id']}?include=chapters")).data
    assert (shown["photo"], shown["chapters"][0]["drawing"]) == (value_of(photo), value_of(drawing))


async def test_explain_shows_the_file_and_stores_nothing(client, upload):
    file = await upload(client)
    explained = (await client.post("book?explain=true", {"cover": file["id"]})).require(200).data
    assert explained["would"] == "create"
    assert explained["record"]["cover"] == value_of(file)
    assert explained["changes"]["cover"] == {"old": None, "new": value_of(file)}
    refused = (await client.post("book?explain=true", {"cover": NO_ID})).data
    assert (refused["would"], refused["errors"][0]["rule"]) == ("reject", "file")
    assert (await client.get("book")).meta["total"] == 0


async def test_the_tag_follows_the_file(client, upload):
    file, other = await upload(client), await upload(client)
    made = (await client.post("book", {"cover": file["id"]})).require(201)
    path = f"book/{made.data['id']}"
    assert (await client.get(path)).headers["ETag"] == made.headers["ETag"]
    changed = await client.put(path, {"cover": other["id"]}, headers={"If-Match": made.headers["ETag"]})
    assert changed.require(200).headers["ETag"] != made.headers["ETag"]
    same = await client.put(path, {"cover": other["id"]}, headers={"If-Match": changed.headers["ETag"]})
    assert same.require(200).headers["ETag"] == changed.headers["ETag"]
    stale = await client.put(path, {"cover": None}, headers={"If-Match": made.headers["ETag"]})
    assert stale.status == 412


async def test_sample_data_is_completed_from_the_rows(client, upload):
    file = await upload(client, b"abc", "abc.txt")
    good = {"title": "a", "cover": {"id": file["id"], "filename": "forged"}}
    document = {
        "entities": [entity("book", title="string", cover="file", scan="file")],
        "sample_data": {"book": [good, {"title": "b", "cover": NO_ID}, {"title": "c", "cover": 7}, {"title": "d"}]},
    }
    outcome = (await client.post("_admin/import", document)).require(200).data
    assert outcome["summary"]["records"] == 2
    assert outcome["errors"] == ["record book: cover must be a valid file"] * 2
    (book,) = (await client.get("book?filter[title]=a")).data
    assert book["cover"] == value_of(file)
    assert (await client.post("_admin/import", {**document, "sample_data": {"book": [good]}})).data["summary"][
        "records"
    ] == 0


async def test_the_address_is_that_of_the_app_that_answers(client, upload):
    shop = await upload(client)
    book = entity("book", cover="file")
    other = await client.app("other")
    await other.define(book)
    file = await upload(other)
    made = await other.create("book", {"cover": file["id"]})
    assert made["cover"]["url"] == f"/api/other/_files/{file['id']}"
    assert (await other.post("book", {"cover": shop["id"]})).status == 422


async def test_a_field_may_become_one_of_files(client, upload):
    book = entity("book", title="string", cover="file", scan="file", extra="file")
    (await client.put("_admin/entities/book", book)).require(200)
    file = await upload(client)
    made = await client.create("book", {"extra": file["id"]})
    assert made["extra"] == value_of(file)
    changed = entity("book", title="file", cover="file")
    refused = await client.put("_admin/entities/book", changed)
    assert_error(refused, 422, "VALIDATION_FAILED", "cannot change type of field title from string to file")


async def test_what_another_type_has_left_in_the_column_shows_nothing(client, upload):
    await client.define(entity("box", thing="json"))
    for thing in ({"a": 1}, [1], "text", 7, {"id": 7}):
        await client.create("box", {"thing": thing})
    (await client.put("_admin/entities/box", entity("box"))).require(200)
    (await client.put("_admin/entities/box", entity("box", thing="file"))).require(200)
    assert [box["thing"] for box in (await client.get("box")).require(200).data] == [None] * 5
    file = await upload(client)
    assert (await client.get(f"box?filter[thing]={file['id']}")).meta["total"] == 0
    for box in (await client.get("box")).data:
        assert (await client.put(f"box/{box['id']}", {"thing": file["id"]})).data["thing"] == value_of(file)


async def test_a_default_is_a_file_like_any_other(client, upload):
    file = await upload(client)
    book = entity("note", text="string", icon="file")
    book["fields"][-1]["default"] = file["id"]
    await client.define(book)
    assert (await client.create("note", {}))["icon"] == value_of(file)
    assert (await client.create("note", {"icon": None}))["icon"] is None
    await client.delete(f"_files/{file['id']}")
    assert (await client.post("note", {})).error["details"][0]["rule"] == "file"


async def test_linked_records_show_their_files(client, upload):
    await client.define(entity("tag", name="string", icon="file"))
    await client.relate(many_to_many("tags", "book", "tag"))
    file = await upload(client)
    book = await client.create("book", {"title": "x", "tags": [{"name": "t", "icon": file["id"]}]})
    shown = (await client.get(f"book/{book['id']}?include=tags")).data
    assert shown["tags"][0]["icon"] == value_of(file)


async def test_without_the_plugin_the_type_is_refused(start_kernel):
    client = await (await start_kernel([])).client.app("shop")
    refused = await client.post("_admin/entities", entity("book", cover="file"))
    assert_error(refused, 422, "VALIDATION_FAILED", "plugin 'files' is not enabled")


seen = set()


async def test_both_databases_answer_alike(client, upload):
    file = await upload(client)
    book = await client.create("book", {"title": "x", "cover": file["id"]})
    answers = [
        await client.get(f"book/{book['id']}"),
        await client.get("book"),
        await client.post("book", {"cover": NO_ID}),
        await client.get("_files"),
        await client.get("_admin/export"),
    ]
    text = "\n".join(answer.text for answer in answers)
    for id, name in ((file["id"], "FILE"), (book["id"], "BOOK")):
        text = text.replace(id, name)
    seen.add(text)
    assert len(seen) == 1
