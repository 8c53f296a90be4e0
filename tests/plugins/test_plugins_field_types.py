"""Types of fields whose values are objects: kept, compared by one member, shown, and looked up by their plugin."""

import pytest

from rocket_kernel import FieldType, Plugin, Storage, hookimpl
from rocket_kernel.testing import assert_error, entity

KNOWN = {"de": "Germany", "fr": "France", "at": "Austria"}


def read_country(value, _precision):
    code = value.get("code") if isinstance(value, dict) else value
    if not isinstance(code, str) or len(code) != 2:
        raise ValueError("a country code expected")
    return {"code": code.lower()}


async def look_up(_session, values):
    return {value["code"]: {**value, "name": KNOWN[value["code"]]} for value in values if value["code"] in KNOWN}


class Countries(Plugin):
    name = "countries"

    @hookimpl
    def register_field_types(self):
        return [
            FieldType(
                name="country",
                storage=Storage.JSON,
                read=read_country,
                read_filter=read_country,
                operators=frozenset({"eq", "neq", "in", "not_in", "is_null"}),
                order_key=lambda value: value["code"],
                sortable=False,
                member="code",
                indexed=True,
                keep=lambda value: {"code": value["code"], "name": value.get("name")},
                show=lambda stored, app: {"name": stored.get("name"), "code": stored["code"], "app": app},
                look_up=look_up,
            )
        ]

    @hookimpl
    async def before_write(self, write):
        for name, field in write.entity.fields.items():
            value = write.record.get(name)
            if field.type.name == "country" and value is not None:
                write.record[name] = {**value, "name": KNOWN.get(value["code"])}


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([Countries])


@pytest.fixture
async def client(running):
    client = await running.client.app("shop")
    await client.define(entity("person", name="string", home="country", born="country unique"))
    return client


def shown(code):
    return {"name": KNOWN[code], "code": code, "app": "shop"}


async def test_kept_and_shown(running, client):
    made = await client.create("person", {"name": "a", "home": {"code": "DE", "name": "forged", "more": 1}})
    assert (made["home"], made["born"]) == (shown("de"), None)
    assert list(made["home"]) == ["name", "code", "app"]
    assert (await client.get(f"person/{made['id']}")).data == made
    app = await running.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        rows = await session.fetch(f"SELECT {session.dialect.quote('home')} FROM {session.dialect.quote('person')}")
    assert str(rows[0][0]).replace(" ", "") == '{"code":"de","name":"Germany"}'
    again = await client.put(f"person/{made['id']}", {"home": made["home"], "name": "b"})
    assert again.data == {**made, "name": "b"}
    refused = await client.post("person", {"home": "nowhere"})
    assert refused.error["details"] == [{"field": "home", "rule": "type", "message": "home must be a valid country"}]


async def test_compared_by_one_member(client):
    for name, code in (("a", "de"), ("b", "fr"), ("c", None)):
        await client.create("person", {"name": name, "home": code})
    for query, found in (
        ("home=DE", ["a"]),
        ("home.neq=de", ["b"]),
        ("home.in=de,fr,at", ["a", "b"]),
        ("home.not_in=de", ["b"]),
        ("home.is_null=true", ["c"]),
    ):
        listed = (await client.get(f"person?sort=name&filter[{query.replace('=', ']=', 1)}")).require(200).data
        assert [person["name"] for person in listed] == found, query


async def test_unique_by_one_member(client):
    await client.create("person", {"born": "de"})
    taken = {"field": "born", "rule": "unique", "message": "born already exists"}
    assert_error(await client.post("person", {"born": {"code": "DE", "x": 1}}), 409, "CONFLICT", None, [taken])
    assert (await client.post("person", {"born": "fr"})).status == 201


async def test_indexed(running, client):
    app = await running.kernel.apps.app("shop")
    async with app.reading() as (session, _registry):
        statement, parameters = session.dialect.describe_indexes("person")
        described = await session.fetch(statement, parameters)
    assert {"idx_person_home", "idx_person_born"} <= {row[0] for row in described}


async def test_looked_up_for_rows_without_a_pipeline(client):
    rows = [{"name": "a", "home": "at"}, {"name": "b", "home": "xx"}, {"name": "c"}, {"name": "d", "home": "xxx"}]
    document = {
        "entities": [entity("person", name="string", home="country", born="country unique")],
        "sample_data": {"person": rows},
    }
    outcome = (await client.post("_admin/import", document)).require(200).data
    assert outcome["summary"]["records"] == 2
    assert outcome["errors"] == ["record person: home must be a valid country"] * 2
    listed = (await client.get("person?sort=name")).data
    assert [(person["name"], person["home"]) for person in listed] == [("a", shown("at")), ("c", None)]
