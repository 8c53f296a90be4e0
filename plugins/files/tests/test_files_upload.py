"""POST `_files/upload`: contract §13.1."""

from itertools import product

import pytest

from rocket_kernel import Actor
from rocket_kernel.testing import assert_error

NOW = "2026-01-02T03:04:05.678Z"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
LIMIT = 1000


async def test_an_upload_is_answered_with_the_file(client, upload):
    made = await upload(client, PNG, "a b.png", "image/png")
    assert list(made) == ["id", "filename", "size", "mime_type", "url", "public", "uploaded_by", "created_at"]
    assert made == {
        "id": made["id"],
        "filename": "a b.png",
        "size": 28,
        "mime_type": "image/png",
        "url": f"/api/shop/_files/{made['id']}",
        "public": False,
        "uploaded_by": "00000000-0000-4000-8000-000000000001",
        "created_at": NOW,
    }
    assert (await client.get(made["url"])).body == PNG


async def test_the_uploader_is_who_calls(client, forms, upload, person):
    caller = person("staff")
    assert (await upload(client.as_actor(caller)))["uploaded_by"] == caller.id
    nameless = Actor(id=None, email=None, roles=frozenset({"staff"}))
    assert (await upload(client.as_actor(nameless)))["uploaded_by"] is None
    robot = Actor(id="robot 7", email=None, roles=frozenset())
    assert (await upload(client.as_actor(robot)))["uploaded_by"] == "robot 7"


TYPES = [
    (b"Hello", "a.txt", "text/plain", "text/plain"),
    (b"Hello", "a.txt", "Text/Plain; charset=x", "text/plain"),
    ("Grüße".encode(), "a.txt", "text/plain", "text/plain"),
    (b"", "empty", "text/plain", "text/plain"),
    (b"a\x00b", "a.txt", "text/plain", "application/octet-stream"),
    (b"\xff\xfe", "a.txt", "text/plain", "application/octet-stream"),
    (b"Hello", "a", None, "application/octet-stream"),
    (b"a,b", "a.csv", "text/csv", "text/csv"),
    (PNG, "a.txt", "text/plain", "image/png"),
    (PNG, "a.html", "text/html", "image/png"),
    (HTML, "a.png", "image/png", "application/octet-stream"),
    (HTML, "a.pdf", "application/pdf", "application/octet-stream"),
    (HTML, "a.html", "text/html", "text/html"),
    (SVG, "a.svg", "image/svg+xml", "image/svg+xml"),
    (SVG, "a.png", "image/png", "application/octet-stream"),
    (b"GIF89a/*" + HTML + b"*/", "a.html", "text/html", "image/gif"),
    (b"%PDF-1.4\n" + HTML, "a.html", "text/html", "application/pdf"),
    (b"BMW builds cars", "a.txt", "text/plain", "text/plain"),
    (b"x", "a", "no type", "application/octet-stream"),
    (b"x", "a", "application/vnd.x+json", "application/vnd.x+json"),
]
ATTACHED = ("text/html", "image/svg+xml", "application/octet-stream", "text/csv", "application/vnd.x+json")


async def test_bytes_count_more_than_words(client, upload):
    for content, name, declared, kept in TYPES:
        made = await upload(client, content, name, declared)
        assert (made["mime_type"], made["size"]) == (kept, len(content)), (content, declared)
        served = await client.get(made["url"])
        assert served.body == content
        assert served.headers["Content-Disposition"].startswith("attachment;") is (kept in ATTACHED)


NAMES = [
    ("../../x", "x"),
    ("/etc/passwd", "passwd"),
    (r"C:\dir\x.txt", "x.txt"),
    ("..", "file"),
    ("", "file"),
    ("a/", "file"),
    ("a\x00b.txt", "ab.txt"),
    ("a\x7fb\tc", "abc"),
    ("ab\u202egpj.exe", "abgpj.exe"),
    ("Grüße, 日本.txt", "Grüße, 日本.txt"),
    ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ("é" * 300, "é" * 127),
    ("%22quoted%22.txt", '"quoted".txt'),
]


async def test_names_are_text_to_show(client, upload):
    for given, kept in NAMES:
        made = await upload(client, filename=given)
        assert made["filename"] == kept
        served = await client.get(made["url"])
        assert served.status == 200
        assert served.headers["Content-Disposition"].isascii()


PUBLIC = [("true", True), ("1", True), ("TRUE", True), ("false", False), ("0", False), ("", False)]


async def test_public_is_asked_for(client, forms):
    for (text, public), order in product(PUBLIC, (1, -1)):
        parts = [forms.part("file", b"x", "x"), forms.part("public", text.encode())][::order]
        answer = await client.post("_files/upload", **forms.form(*parts))
        assert answer.require(201).data["public"] is public


def faults(forms):
    """What is wrong -> the options of the request, and the answer's message."""
    file, public = forms.part("file", b"x", "x"), forms.part("public", b"true")
    whole = forms.form(file)
    content, headers = whole["content"], whole["headers"]
    as_is = headers["Content-Type"]
    return {
        "no file": (forms.form(public), "Missing file in form data"),
        "no part": (forms.form(), "Missing file in form data"),
        "json": ({"json": {"file": "x"}}, "Missing file in form data"),
        "nothing": ({"content": b""}, "Missing file in form data"),
        "empty body": ({"content": b"", "headers": headers}, "Missing file in form data"),
        "urlencoded": (
            {"content": b"file=x", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            "Missing file in form data",
        ),
        "another name": (
            forms.form(forms.part("upload", b"x", "x")),
            "Unexpected part in form data; a part named file is wanted",
        ),
        "two files": (forms.form(file, file), "More than one file in form data"),
        "public twice": (forms.form(public, public, file), "More than one field public in form data"),
        "public what": (forms.form(forms.part("public", b"maybe"), file), "Invalid value for public in form data"),
        "public long": (forms.form(forms.part("public", b"1" * 99), file), "Invalid value for public in form data"),
        "wrong boundary": (
            {"content": content, "headers": {"Content-Type": as_is + "y"}},
            "Missing file in form data",
        ),
        "no boundary": (
            {"content": content, "headers": {"Content-Type": "multipart/form-data"}},
            "Invalid multipart boundary",
        ),
        "long boundary": (
            {"content": content, "headers": {"Content-Type": f"multipart/form-data; boundary={'x' * 5000}"}},
            "Invalid multipart boundary",
        ),
        "cut off": ({"content": content[:-20], "headers": headers}, "Incomplete multipart body"),
        "no disposition": (
            {"content": b"--x-boundary-x\r\nA: b\r\n\r\nx\r\n--x-boundary-x--", "headers": headers},
            "Invalid multipart body",
        ),
        "bare newlines": ({"content": content.replace(b"\r\n", b"\n"), "headers": headers}, "Invalid multipart body"),
        "name not utf-8": (
            {"content": content.replace(b'"x"', b'"\xff"'), "headers": headers},
            "Invalid multipart body",
        ),
        "long header": (forms.form(forms.part("file", b"x", "x" * 5000)), "Invalid multipart body"),
        "many headers": (
            {
                "content": content.replace(b"--x-boundary-x\r\n", b"--x-boundary-x\r\n" + b"A: b\r\n" * 9, 1),
                "headers": headers,
            },
            "Invalid multipart body",
        ),
        "long preamble": (
            {"content": b"x" * 70_000 + b"\r\n" + content, "headers": headers},
            "Too much beside the file in form data",
        ),
        "long epilogue": (
            {"content": content + b"x" * 70_000, "headers": headers},
            "Too much beside the file in form data",
        ),
        "many parts": (
            forms.form(*[forms.part("file", b"x", "x")] * 10_000),
            "More than one file in form data",
        ),
        "compressed": (
            {"content": content, "headers": {**headers, "Content-Encoding": "gzip"}},
            "Unsupported content encoding",
        ),
    }


async def test_what_is_refused(client, forms, tmp_path):
    for options, message in faults(forms).values():
        assert_error(await client.post("_files/upload", **options), 400, "INVALID_PAYLOAD", message)
    assert (await client.get("_files")).data == []
    assert [path for path in tmp_path.rglob("uploads/*/*") if path.is_file()] == []


async def test_what_a_part_may_look_like(client, forms):
    bare = forms.form(b"--x-boundary-x\r\ncontent-disposition: form-data; name=file\r\n\r\nx\r\n")
    assert (await client.post("_files/upload", **bare)).require(201).data["filename"] == "file"
    framed = forms.file()
    framed["content"] = b"preamble\r\n" + framed["content"] + b"epilogue"
    assert (await client.post("_files/upload", **framed)).status == 201
    boundary = forms.file()
    boundary["headers"] = {"Content-Type": 'Multipart/Form-Data; charset=utf-8; boundary="x-boundary-x"'}
    assert (await client.post("_files/upload", **boundary)).status == 201


@pytest.fixture
async def limited(start_files):
    return (await start_files(config={"storage.max_file_size": LIMIT, "server.max_body_bytes": 500}))[1]


async def test_the_limit_is_that_of_the_storage(limited, upload, forms, tmp_path):
    assert (await upload(limited, b"x" * LIMIT))["size"] == LIMIT
    over = forms.file(b"x" * (LIMIT + 1))
    announced = len(over["content"])
    answer = await limited.post("_files/upload", **over)
    assert_error(answer, 413, "FILE_TOO_LARGE", f"File too large: {announced} bytes (max {LIMIT})")
    far_over = forms.file(b"x" * 100_000)
    answer = await limited.post("_files/upload", **far_over)
    assert_error(answer, 413, "FILE_TOO_LARGE", f"File too large: {len(far_over['content'])} bytes (max {LIMIT})")
    chunked = forms.file(b"x" * (LIMIT + 1))
    chunked["headers"] |= {"Transfer-Encoding": "chunked"}
    answer = await limited.post("_files/upload", **chunked)
    assert_error(answer, 413, "FILE_TOO_LARGE", f"File too large: {LIMIT + 1} bytes (max {LIMIT})")
    assert len((await limited.get("_files")).data) == 1
    assert len([path for path in tmp_path.rglob("uploads/*/*") if path.is_file()]) == 1


async def test_app_and_caller_are_looked_at_before_the_body(start_files, forms):
    broken = {"content": b"nonsense", "headers": {"Content-Type": "multipart/form-data"}}
    running, client = await start_files()
    unknown = await client.post("/api/nothing/_files/upload", **broken)
    assert_error(unknown, 404, "APP_NOT_FOUND", "App not found: nothing")
    await running.stop()
    _, closed = await start_files(settings={"actors": {"default": None}}, app=None)
    for options in (broken, forms.file()):
        answer = await closed.in_app("shop").post("_files/upload", **options)
        assert_error(answer, 401, "UNAUTHORIZED", "Missing auth token")


async def test_two_uploads_are_two_files(client, upload):
    first, second = await upload(client), await upload(client)
    assert first["id"] != second["id"]
    assert {file["id"] for file in (await client.get("_files")).data} == {first["id"], second["id"]}


async def test_other_methods(client):
    assert_error(await client.get("_files/upload"), 405, "METHOD_NOT_ALLOWED", "Method not allowed")
    assert_error(await client.post("_files"), 405, "METHOD_NOT_ALLOWED", "Method not allowed")
