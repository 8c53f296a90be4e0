import pytest

from rocket_kernel.testing import entity, many_to_many, one_to_many, one_to_one
from rocket_kernel.testing.factories import parse_field


def test_an_entity():
    assert entity("book", title="string!", price="decimal:2") == {
        "name": "book",
        "primary_key": {"field": "id", "type": "uuid", "generated": True},
        "fields": [
            {"name": "id", "type": "uuid"},
            {"name": "title", "type": "string", "required": True},
            {"name": "price", "type": "decimal", "precision": 2},
        ],
    }


def test_keys_of_other_kinds():
    assert entity("line", id="int", n="int")["primary_key"] == {"field": "id", "type": "int", "generated": True}
    assert [field["name"] for field in entity("line", n="int", id="int")["fields"]] == ["n", "id"]
    own = entity("country", {"primary_key": {"field": "code", "type": "string"}}, code="string!")
    assert own["primary_key"] == {"field": "code", "type": "string"}
    assert [field["name"] for field in own["fields"]] == ["code"]


def test_options_are_no_fields():
    definition = entity("post", {"soft_delete": True, "x": 1}, name="string", options="json")
    assert (definition["soft_delete"], definition["x"], definition["name"]) == (True, 1, "post")
    assert [field["name"] for field in definition["fields"]] == ["id", "name", "options"]


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("int", {"type": "int"}),
        ("decimal:2!", {"type": "decimal", "precision": 2, "required": True}),
        ("string! unique nullable", {"type": "string", "required": True, "unique": True, "nullable": True}),
        ("string enum=new|sold default=new", {"type": "string", "enum": ["new", "sold"], "default": "new"}),
        ("timestamp auto=update", {"type": "timestamp", "auto": "update"}),
    ],
)
def test_the_text_of_a_field(text, properties):
    assert parse_field(text) == properties


@pytest.mark.parametrize("text", ["string uniq", "string unique=1", "string enum=", "decimal:x"])
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ValueError, match=r"says nothing about a field|invalid literal"):
        parse_field(text)


async def test_the_kernel_takes_them(client):
    await client.define(
        entity("author", name="string! unique"),
        entity("profile", author_id="uuid", text="text"),
        entity("book", {"soft_delete": True}, author_id="uuid", state={"type": "string", "enum": ["new"]}),
        entity("tag", id="int", name="string"),
    )
    await client.relate(
        one_to_many("books", "author", "book", on_delete="cascade"),
        one_to_one("profile", "author", "profile", "author_id"),
        many_to_many("tags", "book", "tag"),
        many_to_many("genres", "book", "tag", "book_genre", target_join_key="genre_id"),
    )
    author = await client.create("author", {"name": "Jane", "books": [{"state": "new"}], "profile": [{"text": "x"}]})
    shown = (await client.get(f"author/{author['id']}?include=books,profile")).data
    assert shown["books"][0]["author_id"] == author["id"]
    assert (await client.get("_admin/relations/genres")).data["definition"]["join_table"] == "book_genre"
