from rocket_kernel.testing import assert_error

BOOK = {
    "name": "book",
    "primary_key": {"field": "id", "type": "uuid", "generated": True},
    "fields": [{"name": "id", "type": "uuid"}, {"name": "title", "type": "string", "required": True}],
}


async def test_a_kernel_answers(client):
    await client.define(BOOK)
    made = await client.create("book", {"title": "Emma"})
    assert (await client.get(f"book/{made['id']}")).data == made
    assert_error(await client.get("nonsense"), 404, "UNKNOWN_ENTITY")
