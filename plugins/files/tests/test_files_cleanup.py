"""The hourly job of contract §13.6."""

import os
from datetime import timedelta
from uuid import uuid4

import pytest

from rocket_files import cleanup
from rocket_files.cleanup import _PAGE
from rocket_files.stored_file import ROWS
from rocket_kernel.testing import entity


class Cleaning:
    """A kernel whose clock stands still, with the job at hand."""

    def __init__(self, running, client, clock, root):
        self.running, self.client, self.clock, self.root = running, client, clock, root

    async def run(self, **later):
        self.clock.advance(**later)
        await self.running.kernel.jobs.run_due()

    def age(self, name, **by):
        """Write a blob of the app, or say of one that it was written so long ago."""
        path = self.root / "shop" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        when = (self.clock.now() - timedelta(**by)).timestamp()
        os.utime(path, (when, when))

    def blobs(self):
        return {path.name for path in (self.root / "shop").iterdir()}

    async def listed(self):
        return {file["id"] for file in (await self.client.get("_files")).data}


@pytest.fixture
async def cleaning(start_files, clock, tmp_path):
    async def start(**settings):
        running, client = await start_files(settings={"files": settings})
        await running.kernel.jobs.pause()
        await client.define(entity("book", {"soft_delete": True}, cover="file"), entity("page", scan="file"))
        return Cleaning(running, client, clock, tmp_path / "uploads")

    return start


async def test_halves_go_after_an_hour(cleaning, upload):
    shop = await cleaning()
    whole, lost, recent = await upload(shop.client), await upload(shop.client), await upload(shop.client)
    stray, young, part = str(uuid4()), str(uuid4()), f"{uuid4()}.part"
    (shop.root / "shop" / lost["id"]).unlink()
    shop.age(whole["id"], hours=9)
    shop.age(stray, minutes=61)
    shop.age(part, minutes=61)
    shop.age(young, minutes=59)
    shop.age(recent["id"], minutes=0)
    await shop.run()
    assert shop.blobs() == {whole["id"], recent["id"], young}
    assert await shop.listed() == {whole["id"], lost["id"], recent["id"]}
    shop.age(young, minutes=-30)
    await shop.run(hours=1, seconds=1)
    assert await shop.listed() == {whole["id"], recent["id"]}
    assert shop.blobs() == {whole["id"], recent["id"], young}
    await shop.run(hours=1, seconds=1)
    assert shop.blobs() == {whole["id"], recent["id"]}


async def test_it_runs_every_hour(cleaning):
    shop = await cleaning()
    await shop.run()
    shop.age(str(uuid4()), hours=2)
    await shop.run(minutes=59)
    assert len(shop.blobs()) == 1
    await shop.run(minutes=2)
    assert shop.blobs() == set()


async def test_a_storage_that_is_not_connected_costs_no_rows(cleaning, upload):
    shop = await cleaning()
    made = await upload(shop.client)
    (shop.root / "shop").rename(shop.root / "away")
    await shop.run(hours=5)
    assert await shop.listed() == {made["id"]}
    (shop.root / "away").rename(shop.root / "shop")
    assert (await shop.client.get(made["url"])).status == 200


async def test_more_files_than_a_page(cleaning, upload):
    shop = await cleaning()
    app = await shop.running.kernel.apps.app("shop")
    made = await upload(shop.client)
    async with app.writing() as (tx, _registry):
        row = await ROWS.first(tx, {"id": made["id"]})
        await ROWS.insert_many(tx, [{**row, "id": str(uuid4()), "storage_path": f"shop/{n}"} for n in range(_PAGE + 7)])
    for number in range(0, _PAGE, 2):
        shop.age(str(number), hours=3)
    await shop.run(hours=2)
    assert len(await shop.listed()) == 1 + _PAGE // 2
    assert len(shop.blobs()) == 1 + _PAGE // 2


async def test_files_that_nobody_refers_to_stay_by_default(cleaning, upload):
    shop = await cleaning()
    made = await upload(shop.client)
    shop.age(made["id"], hours=0)
    await shop.run(days=9999)
    assert await shop.listed() == {made["id"]}


async def test_files_that_nobody_refers_to_go_when_asked_for(cleaning, upload):
    shop = await cleaning(delete_unreferenced_days=7)
    names = ("referred", "scanned", "deleted", "swapped", "hard", "alone", "public")
    files = {name: await upload(shop.client, public="true" if name == "public" else None) for name in names}
    ids = {name: file["id"] for name, file in files.items()}
    books = {
        name: await shop.client.create("book", {"cover": ids[name]}) for name in ("referred", "deleted", "swapped")
    }
    await shop.client.create("page", {"scan": ids["scanned"]})
    hard = await shop.client.create("page", {"scan": ids["hard"]})
    await shop.run(days=6, hours=23)
    assert await shop.listed() == set(ids.values())
    await shop.client.delete(f"book/{books['deleted']['id']}")
    await shop.client.put(f"book/{books['swapped']['id']}", {"cover": ids["referred"]})
    await shop.client.delete(f"page/{hard['id']}")
    await shop.run(hours=2)
    # A softly deleted row may come to life again: switching soft_delete off shows it.
    assert await shop.listed() == {ids[name] for name in ("referred", "scanned", "deleted", "public")}
    assert shop.blobs() == {ids[name] for name in ("referred", "scanned", "deleted", "public")}


async def test_a_record_that_comes_first_keeps_its_file(cleaning, upload, monkeypatch):
    """Between the look at a page of files and the deletion of one, a record may begin to refer to it."""
    shop = await cleaning(delete_unreferenced_days=1)
    made = await upload(shop.client)
    found = cleanup._referred
    looks = []

    async def look(session, registry, ids):
        referred = await found(session, registry, ids)
        looks.append(referred)
        if len(looks) == 1:
            await shop.client.create("book", {"cover": made["id"]})
        return referred

    monkeypatch.setattr(cleanup, "_referred", look)
    await shop.run(days=2)
    assert looks == [set(), {made["id"]}]
    assert (await shop.client.get(made["url"])).status == 200


async def test_what_has_gone_is_refused_to_records(cleaning, upload):
    shop = await cleaning(delete_unreferenced_days=1)
    made = await upload(shop.client)
    await shop.run(days=2)
    refused = await shop.client.post("book", {"cover": made["id"]})
    assert refused.error["details"][0]["rule"] == "file"


async def test_a_bucket_is_cleaned_too(start_files, bucket, upload, clock):
    running, client = await start_files(config=bucket.config)
    made, lost = await upload(client), await upload(client)
    bucket.client.delete_object(Bucket=bucket.name, Key=f"some/where/shop/{lost['id']}")
    bucket.client.put_object(Bucket=bucket.name, Key="some/where/shop/stray", Body=b"x")
    bucket.client.put_object(Bucket=bucket.name, Key="some/where/shop2/other", Body=b"x")
    clock.advance(days=36_500)
    await running.kernel.jobs.run_due()
    assert sorted(bucket.names()) == [f"some/where/shop/{made['id']}", "some/where/shop2/other"]
    assert [file["id"] for file in (await client.get("_files")).data] == [made["id"]]
