"""Deleting an app deletes its files, and goes on after a crash."""

import pytest

from rocket_files import FilesPlugin
from rocket_files.local_blobs import LocalBlobs
from rocket_kernel import Plugin, Unavailable, hookimpl
from rocket_kernel.testing import assert_error


@pytest.fixture
def kept(tmp_path):
    """The names of all blobs."""
    root = tmp_path / "uploads"
    return lambda: sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_only_its_own_files_go(start_files, upload, kept):
    _, client = await start_files()
    other = await client.app("shop2")
    await upload(client)
    stays = await upload(other)
    (await client.delete("/api/_platform/apps/shop")).require(200)
    assert kept() == [f"shop2/{stays['id']}"]
    again = await client.app("shop")
    assert (await again.get("_files")).data == []


async def test_a_failure_leaves_the_app_in_deletion(start_files, upload, kept, monkeypatch):
    _, client = await start_files()
    made = await upload(client)

    async def fail(_store, _app):
        raise Unavailable("File storage is not available")

    with monkeypatch.context() as patched:
        patched.setattr(LocalBlobs, "delete_app", fail)
        answer = await client.delete("/api/_platform/apps/shop")
        assert_error(answer, 503, "UNAVAILABLE", "File storage is not available")
    assert (await client.get("/api/_platform/apps/shop")).data["status"] == "deleting"
    assert_error(await client.get(made["url"]), 404, "APP_NOT_FOUND", "App not found: shop")
    assert len(kept()) == 1
    taken = await client.post("/api/_platform/apps", {"name": "shop"})
    assert taken.status == 409
    (await client.delete("/api/_platform/apps/shop")).require(200)
    assert kept() == []
    await client.app("shop")


async def test_a_crash_between_database_and_files_is_made_good(start_files, upload, kept, monkeypatch):
    running, client = await start_files()
    await upload(client)
    other = await client.app("other")
    await upload(other)

    async def fail(_store, _app):
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(LocalBlobs, "delete_app", fail)
        assert (await client.delete("/api/_platform/apps/shop")).status == 503
        await running.stop()
        # What cannot be removed yet must not keep the others from being served.
        second, again = await start_files(app=None)
        assert (await again.in_app("other").get("_files")).status == 200
        assert (await again.get("/api/_platform/apps/shop")).data["status"] == "deleting"
        await second.stop()
    assert len(kept()) == 2
    _, last = await start_files(app=None)
    assert [path.split("/")[0] for path in kept()] == ["other"]
    assert (await last.get("/api/_platform/apps/shop")).status == 404


async def test_an_app_that_could_not_be_made_leaves_no_files(start_kernel, kept, tmp_path):
    class Refusing(Plugin):
        name = "refusing"

        @hookimpl
        async def on_app_created(self, app):
            (tmp_path / "uploads" / app.name).mkdir(parents=True)
            (tmp_path / "uploads" / app.name / "x").write_text("x")
            raise Unavailable

    running = await start_kernel([FilesPlugin, Refusing], config={"storage.local_path": str(tmp_path / "uploads")})
    assert (await running.client.post("/api/_platform/apps", {"name": "shop"})).status == 503
    assert kept() == []
