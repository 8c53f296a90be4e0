"""Both kinds of storage keep the same promises; S3 is a real server of that protocol in a process of its own."""

import asyncio
import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rocket_files.blobs import CHUNK_BYTES, Blobs
from rocket_files.local_blobs import LocalBlobs
from rocket_kernel import ConfigError, S3Config, Secret, StorageConfig, StorageFull, Unavailable
from rocket_kernel.testing import assert_error
from rocket_kernel.testing.processes import free_port

DRIVERS = ["local", "s3"]
MIB = 1024 * 1024


class Place:
    """A storage, and what is really there."""

    def __init__(self, config, listed, unfinished):
        self.blobs = Blobs()
        self.store = self.blobs.store(config)
        self.listed = listed
        self.unfinished = unfinished


@pytest.fixture(params=DRIVERS)
def place(request, tmp_path):
    if request.param == "local":
        found = lambda: sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())  # noqa: E731
        made = Place(StorageConfig(local_path=tmp_path), found, list)
    else:
        bucket = request.getfixturevalue("bucket")
        made = Place(s3_storage(bucket.config["storage.s3"]), lambda: s3_keys(bucket), bucket.unfinished)
    yield made
    made.blobs.close()


def s3_storage(section, **changes):
    section = {**section, "secret_key": Secret(section["secret_key"]), **changes}
    return StorageConfig(driver="s3", s3=S3Config(**section), max_file_size=100 * MIB)


def s3_keys(bucket):
    return [key.removeprefix("some/where/") for key in bucket.names()]


async def put(store, key, *chunks, fails=False):
    async with store.writing(key) as writer:
        for chunk in chunks:
            await writer.write(chunk)
        if fails:
            assert await store.size(key) is None
            raise ZeroDivisionError


async def get(store, key, start, length):
    return b"".join([chunk async for chunk in store.read(key, start, length)])


async def test_what_is_written_is_read(place):
    store, data = place.store, os.urandom(7 * MIB + 123)
    await put(store, "shop/a", *[data[start : start + 70_000] for start in range(0, len(data), 70_000)])
    assert place.listed() == ["shop/a"]
    assert await store.size("shop/a") == len(data)
    assert await get(store, "shop/a", 0, len(data)) == data
    assert await get(store, "shop/a", 3 * MIB - 5, 2 * MIB) == data[3 * MIB - 5 : 5 * MIB - 5]
    assert await get(store, "shop/a", len(data) - 1, 1) == data[-1:]
    assert await get(store, "shop/a", 5, 0) == b""
    async for chunk in store.read("shop/a", 0, len(data)):
        assert len(chunk) <= 8 * CHUNK_BYTES


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * MIB, 5 * MIB + 1])
async def test_sizes_at_the_edges(place, size):
    await put(place.store, "shop/a", b"x" * size)
    assert await place.store.size("shop/a") == size
    assert len(await get(place.store, "shop/a", 0, size)) == size


async def test_what_is_cut_off_never_was(place):
    store = place.store
    for cut_at in (0, MIB, 6 * MIB):
        with pytest.raises(ZeroDivisionError):
            await put(store, "shop/a", *[b"x" * MIB] * (cut_at // MIB), fails=True)
        assert await store.size("shop/a") is None
        assert (place.listed(), place.unfinished()) == ([], [])


async def test_a_cancelled_upload_never_was(place):
    reached = asyncio.Event()

    async def work():
        async with place.store.writing("shop/a") as writer:
            for _ in range(7):
                await writer.write(b"x" * MIB)
            reached.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (place.listed(), place.unfinished()) == ([], [])


async def test_deleting(place):
    store = place.store
    for key in ("shop/a", "shop/b", "shop2/a", "sho/p"):
        await put(store, key, b"x")
    await store.delete("shop/a")
    await store.delete("shop/a")
    await store.delete("nothing/there")
    assert place.listed() == ["sho/p", "shop/b", "shop2/a"]
    await store.delete_app("shop")
    await store.delete_app("shop")
    assert place.listed() == ["sho/p", "shop2/a"]


async def test_listing(place):
    store = place.store
    assert await store.list("shop") is None
    for key in ("shop/a", "shop/b", "shop2/a"):
        await put(store, key, b"x")
    listed = await store.list("shop")
    assert sorted(listed) == ["shop/a", "shop/b"]
    assert all(abs(when - datetime.now(UTC)) < timedelta(minutes=5) for when in listed.values())


async def test_reading_what_is_not_there(place):
    assert await place.store.size("shop/a") is None
    with pytest.raises(Unavailable):
        await get(place.store, "shop/a", 0, 1)
    await put(place.store, "shop/a", b"abc")
    with pytest.raises(Unavailable):
        await get(place.store, "shop/a", 1, 5)


async def test_many_at_once(place):
    data = {f"shop/{number}": os.urandom(300_000) for number in range(10)}
    await asyncio.gather(*[put(place.store, key, content[:1000], content[1000:]) for key, content in data.items()])
    read = await asyncio.gather(*[get(place.store, key, 0, 300_000) for key in data])
    assert read == list(data.values())


async def test_a_full_disk_is_told_apart(tmp_path, monkeypatch):
    store = LocalBlobs(tmp_path)

    def refuse(_number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFull):
        await put(store, "shop/a", b"x" * MIB)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    store.close()


async def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path):
    (tmp_path / "shop").write_text("a file where a folder should be")
    store = LocalBlobs(tmp_path)
    with pytest.raises(Unavailable):
        await put(store, "shop/a", b"x")
    assert await store.size("shop/a") is None
    store.close()


async def test_the_bytes_are_on_disk_before_the_name_is(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda number: done.append(Path(f"/proc/self/fd/{number}").readlink().name))
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, target: (done.append("rename"), rename(path, target)))
    store = LocalBlobs(tmp_path)
    await put(store, "shop/a", b"x")
    assert done == ["a.part", "rename", "shop"]
    store.close()


async def test_s3_that_is_away_is_unavailable(bucket, monkeypatch):
    monkeypatch.setattr("rocket_files.s3_blobs._RETRY", {"max_retries": 0})
    section = bucket.config["storage.s3"]
    for changes in ({"endpoint": f"http://127.0.0.1:{free_port()}"}, {"bucket": "no-such-bucket-at-all"}):
        store = Blobs().store(s3_storage(section, **changes))
        with pytest.raises(Unavailable):
            await put(store, "shop/a", b"x")
        with pytest.raises(Unavailable):
            await store.list("shop")


def test_s3_needs_a_bucket():
    with pytest.raises(ConfigError, match=r"storage\.s3\.bucket is required"):
        Blobs().store(StorageConfig(driver="s3"))


async def test_a_bucket_of_files_over_http(start_files, bucket, upload, forms):
    running, client = await start_files(config={**bucket.config, "storage.max_file_size": 20 * MIB})
    data = os.urandom(6 * MIB + 5)
    made = await upload(client, data, "a.bin", None)
    assert bucket.names() == [f"some/where/shop/{made['id']}"]
    assert (await client.get(made["url"])).body == data
    ranged = await client.get(made["url"], headers={"Range": f"bytes=-{5 * MIB}"})
    assert (ranged.status, ranged.body) == (206, data[-5 * MIB :])
    head = await client.request("HEAD", made["url"])
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(data)), b"")
    too_large = await client.post("_files/upload", **forms.file(b"x" * (20 * MIB + 1)))
    assert (too_large.status, too_large.error["code"]) == (413, "FILE_TOO_LARGE")
    broken = forms.file(b"x" * (7 * MIB))
    broken["content"] = broken["content"][:-10]
    assert (await client.post("_files/upload", **broken)).status == 400
    assert (len(bucket.names()), bucket.unfinished()) == (1, [])
    await client.delete(f"_files/{made['id']}")
    assert bucket.names() == []
    second = await upload(client)
    (await client.delete("/api/_platform/apps/shop")).require(200)
    assert bucket.names() == []
    assert second["size"] == 5
    await running.stop()


async def test_a_storage_that_is_away_is_503_and_leaves_no_row(start_files, bucket, forms, monkeypatch):
    monkeypatch.setattr("rocket_files.s3_blobs._RETRY", {"max_retries": 0})
    away = {**bucket.config["storage.s3"], "endpoint": f"http://127.0.0.1:{free_port()}"}
    _, client = await start_files(config={"storage.driver": "s3", "storage.s3": away})
    answer = await client.post("_files/upload", **forms.file())
    assert_error(answer, 503, "UNAVAILABLE", "File storage is not available")
    assert answer.headers["Retry-After"]
    assert (await client.get("_files")).data == []


async def test_a_row_that_cannot_be_stored_takes_its_bytes_along(start_files, forms, tmp_path, monkeypatch):
    _, client = await start_files()

    async def fail(*_arguments):
        raise Unavailable

    monkeypatch.setattr("rocket_kernel.store.table_rows.TableRows.insert", fail)
    assert (await client.post("_files/upload", **forms.file())).status == 503
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []
