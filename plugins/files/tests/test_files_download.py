"""GET and HEAD of `_files/:id`: contract §13.2."""

from pathlib import Path

from rocket_kernel.testing import assert_error

NO_ID = "12345678-90ab-4cde-8f01-234567890abc"
DATA = bytes(range(256)) * 3000
POLICY = "sandbox; default-src 'none'"


async def test_the_whole_file(client, upload):
    made = await upload(client, b"%PDF-1.4 " + DATA, "a.pdf", "application/pdf")
    answer = await client.get(made["url"])
    assert (answer.status, answer.body) == (200, b"%PDF-1.4 " + DATA)
    shown = {
        "Content-Type": "application/pdf",
        "Content-Length": str(made["size"]),
        "Content-Disposition": 'inline; filename="a.pdf"',
        "ETag": f'"{made["id"]}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: answer.headers[name] for name in shown} == shown
    assert "X-Trace-ID" in answer.headers
    head = await client.request("HEAD", made["url"])
    assert (head.status, head.body) == (200, b"")
    assert {name: head.headers[name] for name in shown} == shown
    assert (await client.get(made["url"].upper().replace("/API/SHOP/", "/api/shop/"))).status == 200


async def test_an_empty_file(client, upload):
    made = await upload(client, b"", "empty", None)
    answer = await client.get(made["url"])
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    ranged = await client.get(made["url"], headers={"Range": "bytes=0-"})
    assert (ranged.status, ranged.headers["Content-Range"]) == (416, "bytes */0")


async def test_plain_text_is_utf_8(client, upload):
    made = await upload(client, "Grüße".encode())
    assert (await client.get(made["url"])).headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_public_files_may_be_kept_by_caches(client, upload):
    made = await upload(client, public="true")
    assert (await client.get(made["url"])).headers["Cache-Control"] == "public, max-age=3600"


async def test_what_the_client_has_is_not_sent_again(client, upload):
    made = await upload(client)
    tag = f'"{made["id"]}"'
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, made["url"], headers={"If-None-Match": header, "Range": "bytes=0-1"})
            assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
            assert answer.headers["Cache-Control"] == "private"
    for header in ('"x"', made["id"], ""):
        assert (await client.get(made["url"], headers={"If-None-Match": header})).status == 200


async def test_ranges(client, upload):
    made = await upload(client, DATA, "a.bin", None)
    size, tag = len(DATA), f'"{made["id"]}"'
    for header, part, shown in (
        ("bytes=0-9", DATA[:10], f"bytes 0-9/{size}"),
        ("bytes=300000-600000", DATA[300_000:600_001], f"bytes 300000-600000/{size}"),
        (f"bytes={size - 5}-", DATA[-5:], f"bytes {size - 5}-{size - 1}/{size}"),
        ("bytes=-7", DATA[-7:], f"bytes {size - 7}-{size - 1}/{size}"),
    ):
        answer = await client.get(made["url"], headers={"Range": header, "If-Range": tag})
        assert (answer.status, answer.body) == (206, part)
        assert answer.headers["Content-Range"] == shown
        assert answer.headers["Content-Length"] == str(len(part))
        assert answer.headers["Content-Security-Policy"] == POLICY
    for headers in (
        {"Range": "bytes=0-1,5-6"},
        {"Range": "bytes=x"},
        {"Range": "bytes=0-9", "If-Range": '"other"'},
        {"Range": "bytes=0-9", "If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ):
        answer = await client.get(made["url"], headers=headers)
        assert (answer.status, len(answer.body)) == (200, size)
        assert "Content-Range" not in answer.headers
    head = await client.request("HEAD", made["url"], headers={"Range": "bytes=0-9"})
    assert (head.status, head.headers["Content-Length"]) == (200, str(size))
    beyond = await client.get(made["url"], headers={"Range": f"bytes={size}-"})
    assert_error(beyond, 416, "RANGE_NOT_SATISFIABLE", "Range not satisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{size}"


async def test_what_is_not_there(client):
    for id in (NO_ID, "7", "x" * 300, "%00", "..", "..%2Fshop.db", NO_ID[:-1], f"{{{NO_ID}}}"):
        for path in (f"_files/{id}", f"_files/{id}/url"):
            answer = await client.get(path)
            assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND"), path
            assert answer.error["message"].startswith("File ")
        assert (await client.delete(f"_files/{id}")).status == 404
        head = await client.request("HEAD", f"_files/{id}")
        assert (head.status, head.body) == (404, b"")
    assert_error(await client.get(f"_files/{NO_ID}"), 404, "NOT_FOUND", f"File {NO_ID} not found")


async def test_files_belong_to_their_app(client, upload):
    made = await upload(client)
    other = await client.app("other")
    assert (await other.get(f"_files/{made['id']}")).status == 404
    assert (await other.get("_files")).data == []


async def test_bytes_that_are_gone_are_not_found(client, upload, tmp_path):
    made = await upload(client)
    blob = Path(tmp_path) / "uploads" / "shop" / made["id"]
    blob.write_bytes(b"Hell")
    assert_error(await client.get(made["url"]), 404, "NOT_FOUND", f"File {made['id']} not found")
    blob.unlink()
    assert_error(await client.get(made["url"]), 404, "NOT_FOUND", f"File {made['id']} not found")


async def test_list_and_delete(client, upload, clock, tmp_path):
    made = []
    for number in range(3):
        made.append(await upload(client, b"x" * number, f"{number}.bin", None, public="true"))
        clock.advance(seconds=1)
    listed = (await client.get("_files")).json
    names = ["id", "filename", "mime_type", "size", "public", "uploaded_by", "created_at"]
    assert listed == {"data": [{name: file[name] for name in names} for file in reversed(made)]}
    assert [list(file) for file in listed["data"]] == [names] * 3
    answer = await client.delete(f"_files/{made[1]['id'].upper()}")
    assert (answer.status, answer.json) == (200, {"data": {"deleted": True}})
    again = await client.delete(f"_files/{made[1]['id']}")
    assert_error(again, 404, "NOT_FOUND", f"File {made[1]['id']} not found")
    assert (await client.get(made[1]["url"])).status == 404
    assert [file["filename"] for file in (await client.get("_files")).data] == ["2.bin", "0.bin"]
    assert len(list((Path(tmp_path) / "uploads" / "shop").iterdir())) == 2
    assert (await client.get(made[0]["url"])).status == 200
