"""A whole shop of 15,000 rows: imported, and then worked with."""

import runpy
import time
from pathlib import Path

import pytest

from rocket_kernel.testing import assert_error

SHOP = runpy.run_path(str(Path(__file__).with_name("music_shop.py")))
LONGEST_S = 15


@pytest.fixture
async def shop(client):
    """An app with the shop in it."""
    started = time.perf_counter()
    answer = (await client.post("_admin/import", SHOP["music_shop"]())).require(200)
    took = time.perf_counter() - started
    assert "errors" not in answer.data
    counts = answer.data["summary"]
    assert (counts["entities"], counts["relations"], counts["records"]) == (10, 10, SHOP["ROWS"])
    assert took < LONGEST_S
    return client


async def total(client, query):
    return (await client.get(query)).require(200).meta["total"]


async def test_the_shop_is_imported_once_and_works(shop):
    assert SHOP["ROWS"] >= 15_000
    await reading(shop)
    await reading_through_relations(shop)
    await writing(shop)
    await deleting(shop)
    await importing_again(shop)


async def reading(shop):
    for name in ("ARTISTS", "ALBUMS", "TRACKS", "GENRES", "EMPLOYEES", "CUSTOMERS", "INVOICES", "PLAYLISTS"):
        assert await total(shop, name.lower().removesuffix("s")) == SHOP[name]
    page = await shop.get("track?filter[unit_price.gt]=1&filter[composer.is_null]=false&sort=-milliseconds&per_page=5")
    expected = [number for number in range(1, SHOP["TRACKS"] + 1) if number % 30 == 0]
    assert page.meta == {"page": 1, "per_page": 5, "total": len(expected), "total_pages": -(-len(expected) // 5)}
    longest = sorted(expected, key=lambda number: (-(number * 37 % 200_000), number))[:5]
    assert [row["id"] for row in page.data] == longest
    assert page.data[0]["bytes"] == str(5_000_000_000 + longest[0])
    assert page.data[0]["unit_price"] == "1.99"
    last = await shop.get(f"track?page={SHOP['TRACKS'] // 200 + 1}&per_page=200")
    assert [row["id"] for row in last.data] == list(range(3401, 3501))


async def reading_through_relations(shop):
    artist = (await shop.get("artist/7?include=albums.tracks.playlist_tracks")).data
    assert [album["id"] for album in artist["albums"]] == [7, 307]
    assert [track["id"] for track in artist["albums"][0]["tracks"]] == [7 + 400 * number for number in range(9)]
    linked = [track["id"] for track in artist["albums"][0]["tracks"] if track["playlist_tracks"]]
    assert linked == [number for number in range(7, 3208, 400) if (number - 1) % 7 == 0 and number <= 2800]
    chief = (await shop.get("employee/2?include=reports,boss,clients")).data
    assert ([row["id"] for row in chief["reports"]], chief["boss"]["id"], len(chief["clients"])) == ([4, 5], 1, 3)
    sold = await shop.get("invoice_line?filter[track.album.artist.name]=Artist 007&sort=-invoice.total&include=track")
    assert sold.meta["total"] == 8
    assert {row["track"]["name"] for row in sold.data} == {"Track 0007"}
    assert await total(shop, "customer?filter[country]=Japan&filter[invoices.total.gte]=100") == 17
    assert await total(shop, "playlist?filter[playlist_tracks.genre.name]=Genre 3") == SHOP["PLAYLISTS"]


async def writing(shop):
    made = await shop.create(
        "artist",
        {
            "name": "New",
            "albums": [
                {"title": "First", "tracks": [{"name": "One", "media_type_id": 1, "milliseconds": 1}]},
                {"title": "Album 001", "tracks": [{"name": "Two", "media_type_id": 1, "milliseconds": 2}]},
            ],
        },
    )
    assert made == {"id": SHOP["ARTISTS"] + 1, "name": "New"}
    albums = (await shop.get("album?filter[artist.name]=New&include=tracks")).data
    assert [(album["id"], album["slug"]) for album in albums] == [(401, "first"), (402, "album-001")]
    assert [track["id"] for album in albums for track in album["tracks"]] == [3501, 3502]
    playlist = {"name": "Mine", "playlist_tracks": [{"id": 3501}, {"id": 1}, "3501"]}
    mine = await shop.create("playlist", playlist)
    assert mine["id"] == SHOP["PLAYLISTS"] + 1
    wrong = {"playlist_tracks": [{"id": 2}, {"id": 9999}]}
    detail = {"field": "playlist_tracks[1].id", "rule": "not_found", "message": "track with id 9999 not found"}
    refused = await shop.put(f"playlist/{mine['id']}", wrong)
    assert_error(refused, 422, "VALIDATION_FAILED", "Validation failed", [detail])
    read = (await shop.get(f"playlist/{mine['id']}?include=playlist_tracks")).data
    assert [track["id"] for track in read["playlist_tracks"]] == [1, 3501]
    invoice = {"lines": {"_write_mode": "replace", "data": [{"track_id": 1, "quantity": 2, "unit_price": "0.995"}]}}
    (await shop.put("invoice/1", invoice)).require(200)
    (line,) = (await shop.get("invoice/1?include=lines")).data["lines"]
    assert line == {"id": 2401, "invoice_id": 1, "track_id": 1, "unit_price": "1.00", "quantity": 2}
    taken = {"field": "email", "rule": "unique", "message": "email already exists"}
    body = {"last_name": "x", "email": "c1@example.com"}
    assert_error(await shop.post("customer", body), 409, "CONFLICT", None, [taken])


async def deleting(shop):
    assert_error(await shop.delete("media_type/1"), 409, "CONFLICT", "Cannot delete: 702 related track records exist")
    # The cascade meets a sale that restricts: invoice 1 has bought track 1 meanwhile.
    sold = "Cannot delete: 1 related invoice_line records exist"
    assert_error(await shop.delete("album/1"), 409, "CONFLICT", sold)
    assert len((await shop.get("album/1?include=tracks")).data["tracks"]) == 9
    (await shop.delete("invoice/1")).require(200)
    (await shop.delete("album/1")).require(200)
    assert await total(shop, "track?filter[album_id]=1") == 0
    assert await total(shop, "track") == SHOP["TRACKS"] + 2 - 9
    read = (await shop.get("playlist/21?include=playlist_tracks")).data
    assert [track["id"] for track in read["playlist_tracks"]] == [3501]
    customer = (await shop.get("customer/1?include=support_rep,invoices")).data
    (await shop.delete(f"employee/{customer['support_rep']['id']}")).require(200)
    assert await total(shop, "employee?filter[boss_id.is_null]=true") == 2
    left = len(customer["invoices"])
    related = f"Cannot delete: {left} related invoice records exist"
    assert_error(await shop.delete("customer/1"), 409, "CONFLICT", related)


async def importing_again(shop):
    """Only what was deleted comes back: a line that stands in the document stays as it was changed."""
    (await shop.put("invoice_line/2", {"quantity": 17})).require(200)
    answer = (await shop.post("_admin/import", SHOP["music_shop"]())).require(200)
    counts = answer.data["summary"]
    album, links, invoice, lines, employee = 1 + 9, 20, 1, 6, 1
    assert "errors" not in answer.data
    assert (counts["entities"], counts["relations"]) == (0, 0)
    assert counts["records"] == album + links + invoice + lines + employee
    assert await total(shop, "track") == SHOP["TRACKS"] + 2
    assert (await shop.get("invoice_line/2")).data["quantity"] == 17
