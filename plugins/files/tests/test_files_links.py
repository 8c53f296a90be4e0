"""GET `_files/:id/url`, and what the address it gives is worth."""

from rocket_files import FilesPlugin
from rocket_kernel.testing import Actors, assert_error


async def test_a_link_works_for_a_while_without_a_token(start_files, start_kernel, upload, clock, tmp_path):
    running, client = await start_files()
    made = await upload(client)
    link = (await client.get(f"_files/{made['id']}/url")).data
    assert list(link) == ["url", "expires_at"]
    assert link["expires_at"] == "2026-01-02T03:09:06.000Z"
    assert link["url"].startswith(f"{made['url']}?expires=")
    short = (await client.get(f"_files/{made['id']}/url?ttl=10")).data
    long = (await client.get(f"_files/{made['id']}/url?ttl=99999")).data
    assert (short["expires_at"], long["expires_at"]) == ("2026-01-02T03:04:16.000Z", "2026-01-02T04:04:06.000Z")
    await running.stop()

    closed = await start_kernel(
        [FilesPlugin, Actors],
        config={"storage.local_path": str(tmp_path / "uploads")},
        settings={"actors": {"default": None}},
    )
    stranger = closed.client.in_app("shop")
    assert_error(await stranger.get(made["url"]), 401, "UNAUTHORIZED", "Missing auth token")
    assert_error(await stranger.get(f"_files/{made['id']}/url"), 401, "UNAUTHORIZED", "Missing auth token")
    answer = await stranger.get(link["url"])
    assert (answer.status, answer.body, answer.headers["Cache-Control"]) == (200, b"Hello", "private")
    assert (await stranger.request("HEAD", link["url"])).headers["Content-Length"] == "5"
    assert (await stranger.get(link["url"], headers={"Range": "bytes=1-2"})).body == b"el"
    clock.advance(seconds=11)
    assert_error(await stranger.get(short["url"]), 403, "FORBIDDEN", "Link is invalid or has expired")
    assert (await stranger.get(link["url"])).status == 200
    for altered in (link["url"] + "x", link["url"].replace("expires=1", "expires=2"), f"{made['url']}?signature=x"):
        assert_error(await stranger.get(altered), 403, "FORBIDDEN", "Link is invalid or has expired")
    clock.advance(hours=1)
    assert_error(await stranger.get(long["url"]), 403, "FORBIDDEN", "Link is invalid or has expired")


async def test_a_link_is_worth_nothing_elsewhere(client, upload):
    made, other = await upload(client), await upload(client)
    query = (await client.get(f"_files/{made['id']}/url")).data["url"].partition("?")[2]
    assert (await client.get(f"{other['url']}?{query}")).status == 403
    second = await client.app("second")
    assert (await second.get(f"_files/{made['id']}?{query}")).status == 403
    await client.delete(f"_files/{made['id']}")
    gone = await client.get(f"{made['url']}?{query}")
    assert_error(gone, 404, "NOT_FOUND", f"File {made['id']} not found")


async def test_only_who_may_read_the_file_gets_a_link(client, upload, person):
    owner, other = client.as_actor(person("staff")), client.as_actor(person("staff"))
    made = await upload(owner)
    assert (await owner.get(f"_files/{made['id']}/url")).status == 200
    refused = await other.get(f"_files/{made['id']}/url")
    assert_error(refused, 404, "NOT_FOUND", f"File {made['id']} not found")


async def test_how_long_links_last_is_a_setting(start_files, upload):
    _, client = await start_files(settings={"files": {"signed_url_ttl_s": 5}})
    made = await upload(client)
    assert (await client.get(f"_files/{made['id']}/url")).data["expires_at"] == "2026-01-02T03:04:11.000Z"
