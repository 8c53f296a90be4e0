"""The page at `_docs`, in a real browser: it works with a token, asks no other host, and runs nobody else's script."""

import re
import shutil
from dataclasses import dataclass, field

import pytest
from playwright.async_api import async_playwright

from rocket_kernel.config import DatabaseConfig
from rocket_kernel.openapi.docs_page import FILE_NAMES
from rocket_kernel.testing import entity
from rocket_kernel.testing.processes import ServerProcess

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "[click](javascript:document.title='owned') ![picture](http://192.0.2.1/p.png) <b>bold</b> [r]\n\n[r]: http://192.0.2.1/"
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


async def test_the_page_and_its_files_may_do_little(client):
    page = await client.get("_docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'", "'self'", "'self'")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert set(re.findall(r'(?:src|href)="_docs/([^"]+)"', page.text)) == set(FILE_NAMES)


async def test_links_of_the_page_lead_to_its_files_with_a_slash_at_the_end_too(client):
    assert 'src="docs.js"' in (await client.get("_docs/")).text


async def test_files_of_the_page_are_told_by_their_tags(client):
    for name in FILE_NAMES:
        found = (await client.get(f"_docs/{name}")).require(200)
        assert len(found.body) > 300
        assert found.headers["Content-Type"].startswith("text/")
        again = await client.get(f"_docs/{name}", headers={"If-None-Match": found.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")


async def test_other_files_are_not_served(client):
    for name in ("index.html", "..%2Fdocs.js", "%2e%2e%2fschema.py", "swagger-ui.LICENSE.txt", "x" * 3000, "%00"):
        assert (await client.get(f"_docs/{name}")).status == 404


@dataclass
class Seen:
    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def watch(self, page):
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.note(message) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def note(self, message):
        self.faults.append(message.text)


@pytest.fixture
def server(tmp_path, rocket_hygiene):
    database = DatabaseConfig(data_dir=tmp_path / "data", synchronous="off")
    with ServerProcess(tmp_path / "server", database, config={"plugins.enabled": ["auth"]}) as running:
        yield running


async def token_of_administrator(server):
    body = {"email": "platform@localhost", "password": "changeme"}
    async with server.caller() as caller:
        return (await caller.post("/api/_platform/auth/login", body)).require(200).data["access_token"]


async def furnish(server, token):
    bearer = f"Bearer {token}"
    title = {"name": "title", "type": "string", "required": True, "description": HOSTILE, "enum": [HOSTILE, "a"]}
    async with server.caller("shop") as shop:
        (await shop.post("/api/_platform/apps", {"name": "shop"}, authorization=bearer)).require(201)
        definition = entity("book", {"description": HOSTILE}, title=title, price="decimal:2")
        (await shop.post("_admin/entities", definition, authorization=bearer)).require(201)
        (await shop.post("book", {"title": "a", "price": "9.50"}, authorization=bearer)).require(201)


async def test_a_person_reads_the_page_and_tries_it_out(server):
    token = await token_of_administrator(server)
    await furnish(server, token)
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    assert path is not None, "this test needs Chromium: apt-get install chromium"
    seen = Seen()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        seen.watch(page)
        await page.goto(f"{server.url}/api/shop/_docs")
        await page.get_by_text("Sign in", exact=True).wait_for()
        assert "without a token" in await page.text_content("#said")
        assert await page.locator('[id^="operations-book"]').count() == 0

        await page.fill("#token", "nonsense")
        await page.click("#caller button")
        await page.get_by_text("401: Invalid or expired token").wait_for()
        seen.faults.clear()  # the browser tells of the 401

        await page.fill("#token", token)
        await page.click("#caller button")
        listing = page.locator('[id="operations-book-list\\\\.book"]')
        await listing.locator(".opblock-summary-control").click()
        await listing.locator(".execute").click()
        await listing.get_by_text("9.50").first.wait_for()
        creating = page.locator('[id="operations-book-create\\\\.book"]')
        await creating.locator(".opblock-summary-control").click()
        await creating.locator(".execute").wait_for()
        assert await page.title() == "shop API"
        assert await page.locator("#api img, #api script, #api b:has-text('bold')").count() == 0
        assert await page.evaluate("localStorage.length + sessionStorage.length") == 0
        await browser.close()
    assert seen.faults == []
    assert [url for url in seen.requests if not url.startswith(f"{server.url}/api/shop/")] == []
    assert any("/api/shop/book?" in url for url in seen.requests)
