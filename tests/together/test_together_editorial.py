"""The editorial site, as writers, editors and readers use it."""

from __future__ import annotations

from typing import Any

from rocket_kernel.testing import Client

FROGS = "article/how-frogs-came-to-kick"
TEXT = "The sea was quiet, and the lamp of the lighthouse went round and round."


async def test_editorial_site(open_site, findings, forbidden):
    site = await open_site("editorial")
    writer = await site.person("writer", "writer")
    editor = await site.person("editor", "editor")
    reader = await site.person("reader", "reader")
    await readers_see_what_is_published(reader, writer, forbidden)
    article = await writers_write(site, writer, findings, forbidden)
    await editors_review(site, writer, editor, forbidden, article)
    await published_text_is_kept(site, writer, editor, reader, findings, article)
    await readers_comment(site, reader, editor, findings, forbidden)
    await what_is_sent_back_can_be_thrown_away(site, writer, editor, forbidden)


async def readers_see_what_is_published(reader: Client, writer: Client, forbidden: Any) -> None:
    (shown,) = (await reader.get("article?include=written,tags,comments,preview")).require(200).data
    assert not {"notes", "owner"} & set(shown)
    assert list(shown["written"]) == ["id", "name", "bio", "portrait"]
    assert [comment["author"] for comment in shown["comments"]] == ["Luigi"]
    assert (shown["tags"][0]["name"], shown["preview"]["headline"]) == ("electricity", "Frogs kick")
    assert (await reader.get("article/a-storm-off-livorno")).status == 404
    hidden = await reader.get("article?filter[notes.contains]=year")
    assert forbidden(hidden) == "Permission denied for read on article.notes"
    assert forbidden(await reader.get("edition")) == "Permission denied for read on edition"
    assert (await writer.get(FROGS)).data["notes"] == "Check the year."
    assert "editor" not in (await reader.get("section/science")).require(200).data
    pages = (await reader.get("_ui/config/article")).require(200).data["config"]["pages"]
    assert pages["landing"]["layout"] == "card-grid"
    assert [item["name"] for item in (await reader.get("_admin/entities")).data] == [
        "article",
        "comment",
        "preview",
        "section",
        "tag",
        "writer",
    ]


async def writers_write(site: Any, writer: Client, findings: Any, forbidden: Any) -> str:
    draft = {"title": "How frogs came to kick", "owner": "writer@example.com", "body": "Soon."}
    assert forbidden(await writer.post("article", {**draft, "owner": "percy@example.com"})) == (
        "Permission denied for create on article"
    )
    assert findings(await writer.post("article", {**draft, "title": "x" * 81})) == [
        ("title", "A title has at most 80 characters")
    ]
    assert findings(await writer.post("article", {**draft, "notes": "Nice"})) == [
        ("notes", "No permission to write notes")
    ]
    assert findings(await writer.post("article", {**draft, "status": "published"})) == [
        (None, "There is too little text to print")
    ]
    assert findings(await writer.post("article", {**draft, "status": "published", "body": TEXT})) == [
        ("status", "Initial state must be 'draft', got 'published'")
    ]
    nested = {"tags": [{"name": "light"}, "b3c3b6f0-0b54-4df4-8f6e-1d2a7c1f0002"], "preview": {"headline": "Light"}}
    made = await writer.create("article", {**draft, **nested})
    assert (made["slug"], made["status"], made["minutes"], made["teaser"]) == (
        "how-frogs-came-to-kick-2",
        "draft",
        1,
        "How frogs came to kick",
    )
    path = f"article/{made['slug']}"
    assert findings(await writer.put(path, {"status": "review"})) == [(None, "There is too little text to print")]
    assert findings(await writer.put(path, {"status": "review", "body": TEXT})) == [
        ("status", "Transition from 'draft' to 'review' blocked by guard")
    ]
    (await writer.put(path, {"status": "review", "body": TEXT, "section_id": "science"})).require(200)
    return path


async def editors_review(site: Any, writer: Client, editor: Client, forbidden: Any, article: str) -> None:
    asked = await site.pending(editor, "review")
    assert (asked["context"]["title"], asked["entity"]) == ("How frogs came to kick", "article")
    refused = await writer.post(f"_workflows/{asked['id']}/approve")
    assert forbidden(refused) == "You are not an assignee of this step"
    early = await writer.put(article, {"status": "published"})
    assert forbidden(early) == "Transition from 'review' to 'published' not permitted for your role"
    (await editor.post(f"_workflows/{asked['id']}/approve", {"step": "read"})).require(200)
    printed = await site.value(f"{article}?include=editions", "status", "published")
    assert printed["published_at"] is not None
    assert [edition["body"] for edition in printed["editions"]] == [TEXT]
    built = await site.called("/site.example.com/hooks/build", id=printed["id"], status="published")
    assert built["changes"]["status"] == {"old": "review", "new": "published"}


async def published_text_is_kept(
    site: Any, writer: Client, editor: Client, reader: Client, findings: Any, article: str
) -> None:
    assert findings(await writer.put(article, {"body": f"{TEXT} And round."})) == [
        (None, "Published text is changed by editors")
    ]
    assert (await writer.put(article, {"status": "archived"})).require(403).error["message"] == (
        "Transition from 'published' to 'archived' not permitted for your role"
    )
    (await writer.put(article, {"teaser": "A quiet night."})).require(200)
    (await editor.put(article, {"body": f"{TEXT} And round."})).require(200)
    assert (await reader.get(article)).require(200).data["teaser"] == "A quiet night."
    assert findings(await editor.put(article, {"tags": []})) == [(None, "A published article has a tag")]
    assert len((await reader.get(f"{article}?include=tags")).data["tags"]) == 2
    assert (await reader.get("article?filter[tags.name]=light")).meta["total"] == 1


async def readers_comment(site: Any, reader: Client, editor: Client, findings: Any, forbidden: Any) -> None:
    frogs = (await site.admin.get(FROGS)).data["id"]
    storm = (await site.admin.get("article/a-storm-off-livorno")).data["id"]
    letter = {"article_id": frogs, "author": "Humphry", "body": "See https://example.com/leeches"}
    assert findings(await reader.post("comment", {**letter, "article_id": storm})) == [
        (None, "Only published articles are commented on")
    ]
    assert findings(await reader.post("comment", {**letter, "body": "x" * 2001})) == [
        ("body", "field body failed max_length validation")
    ]
    assert findings(await reader.post("comment", {**letter, "status": "approved"})) == [
        ("status", "No permission to write status")
    ]
    sent = await reader.create("comment", letter)
    path = f"comment/{sent['id']}"
    assert (await reader.get(path)).status == 404
    asked = await site.pending(editor, "moderation")
    assert asked["record_id"] == sent["id"]
    (await editor.post(f"_workflows/{asked['id']}/reject")).require(200)
    await site.value(path, "status", "rejected")
    assert forbidden(await reader.put(path, {"status": "approved"})) == "Permission denied for update on comment"
    (await editor.put(path, {"status": "approved"})).require(200)
    shown = (await reader.get(f"{FROGS}?include=comments")).data["comments"]
    assert sorted(comment["author"] for comment in shown) == ["Humphry", "Luigi"]


async def what_is_sent_back_can_be_thrown_away(site: Any, writer: Client, editor: Client, forbidden: Any) -> None:
    draft = {"title": "Leeches", "owner": "writer@example.com", "body": TEXT, "section_id": "science"}
    made = await writer.create("article", draft)
    (await writer.put("article/leeches", {"status": "review"})).require(200)
    assert forbidden(await writer.delete("article/leeches")) == "Permission denied for delete on article"
    asked = await site.pending(editor, "review")
    (await editor.post(f"_workflows/{asked['id']}/reject")).require(200)
    back = await site.value("article/leeches", "status", "draft")
    assert back["notes"] == "Please go over it once more."
    (await writer.delete("article/leeches")).require(200)
    assert (await editor.get(f"article/{made['id']}")).status == 404
    (await editor.delete(FROGS)).require(200)
    gone = await site.eventually(lambda: forgotten(site))
    assert "changes" not in gone
    assert (await site.admin.get("comment")).meta["total"] == 0


async def forgotten(site: Any) -> dict[str, Any] | None:
    bodies = (request.json for request in site.receiver.requests)
    return next((body for body in bodies if body["event"] == "after_delete"), None)
