"""docs/hooks.md describes the hooks that there are, and its examples work."""

from __future__ import annotations

import asyncio
import functools
import hmac
import inspect
import logging
import re
import sys
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from rocket_kernel import Actor, Forbidden, Listening, Plugin, StartupError, hookspecs, kept_secret
from rocket_kernel.cli import command_line
from rocket_kernel.config import Config, DatabaseConfig, PluginsConfig
from rocket_kernel.jobs import JOBS
from rocket_kernel.plugins import ENGINE_API
from rocket_kernel.serving.address import Address
from rocket_kernel.store.table_rows import TableRows
from rocket_kernel.testing import Actors, entity, run_kernel
from rocket_kernel.write.stages import KERNEL_STAGES, STAGES

PAGE = "docs/hooks.md"
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")}
OTHER_EXAMPLES = (
    "## The plugin class",
    "## Writing inside a write",
    "## Asking what a caller may read",
    "## Operators of a field type",
)
LABELS = ("Called", "Transaction", "Returning", "Raising")
KEY = {"x-api-key": "open sesame"}

BOOK = {
    "name": "book",
    "primary_key": {"field": "id", "type": "int", "generated": True},
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "title", "type": "string", "required": True},
        {"name": "price", "type": "decimal", "precision": 2},
        {"name": "draft", "type": "boolean", "default": False},
    ],
}


def heading(name: str) -> str:
    return f"## {name}({', '.join(inspect.signature(HOOKS[name]).parameters)})"


def promise(text: str) -> tuple[str, ...]:
    """Version and stability, as a docstring or a section of the page states them."""
    found = re.search(r"Since(?:\*\*)? (\d+\.\d+)\. (?:\*\*)?Stability:(?:\*\*)? (stable|provisional)\.", text)
    assert found is not None, text
    return found.groups()


def test_hooks_page_has_one_heading_a_hook_in_the_order_of_the_specs(page):
    headings = re.findall(r"^## \w+\(.*\)$", page(PAGE).text, re.MULTILINE)
    assert headings == [heading(name) for name in HOOKS]


@pytest.mark.parametrize("name", HOOKS)
def test_spec_states_since_and_stability_and_the_page_says_the_same(name, page):
    docstring = inspect.getdoc(HOOKS[name])
    section = page(PAGE).section(heading(name))
    assert promise(docstring) == promise(section)
    for label in LABELS:
        assert f"- **{label}:**" in section


@pytest.mark.parametrize("name", HOOKS)
def test_spec_is_annotated(name):
    spec = HOOKS[name]
    assert set(spec.__annotations__) == {*inspect.signature(spec).parameters, "return"}


def test_hooks_page_lists_the_stages(page):
    rows = page(PAGE).table("## Stages and steps")
    assert [row[0] for row in rows] == [f"`{stage}`" for stage in STAGES]
    assert [row[1] for row in rows] == ["no" if stage in KERNEL_STAGES else "yes" for stage in STAGES]


def test_hooks_page_lists_what_a_plugin_class_declares(page):
    rows = page(PAGE).table("## The plugin class")
    assert [row[0] for row in rows] == [f"`{name}`" for name in Plugin.__annotations__]
    for name, _, default in rows[1:]:
        shown = f"the current one, {ENGINE_API}" if name == "`engine_api`" else None
        expected = shown or f"`{getattr(Plugin, name.strip('`'))!r}`".replace("'", '"')
        assert default == expected


@pytest.fixture
def example(page, monkeypatch):
    """A function: the python block under a heading -> what it defines."""

    def define(section: str) -> dict[str, Any]:
        found = re.search(r"^```python\n(.*?)^```$", page(PAGE).section(section), re.MULTILINE | re.DOTALL)
        assert found is not None, section
        module = ModuleType("example_of_the_hooks_page")
        # Dataclasses look up the module they are defined in.
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(found[1], section, "exec"), vars(module))
        return vars(module)

    return define


def plugin_of(names: dict[str, Any]) -> type[Plugin]:
    (plugin,) = [
        value
        for value in names.values()
        if isinstance(value, type) and issubclass(value, Plugin) and value is not Plugin
    ]
    return plugin


def watched(plugin: type[Plugin], hook: str, calls: list[str]) -> type[Plugin]:
    """The same plugin, which also notes each call of one hook."""
    original = vars(plugin)[hook]
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def noting(*args, **kwargs):
            calls.append(hook)
            return await original(*args, **kwargs)
    else:

        @functools.wraps(original)
        def noting(*args, **kwargs):
            calls.append(hook)
            return original(*args, **kwargs)

    return type(plugin.__name__, (plugin,), {hook: noting})


class BookShop:
    """A kernel with one plugin and a book shop, in which every hook has a reason to be called."""

    def __init__(self, running: Any, names: dict[str, Any]) -> None:
        self.kernel = running.kernel
        self.client = running.client.with_headers(KEY)
        self.names = names
        self.shop: Any = None

    @property
    def plugin(self) -> Any:
        return self.kernel.parts.plugins.plugins[0]

    async def open_shop(self) -> None:
        self.shop = await self.client.app("shop")
        await self.shop.define(BOOK)

    async def create(self, **values: Any) -> Any:
        return await self.shop.post("book", {"title": "Solaris", **values})

    async def rows(self, table: str) -> list[dict[str, Any]]:
        app = await self.kernel.apps.app("shop")
        async with app.reading() as (session, _):
            return await TableRows(self.names[table]).select(session)


async def colours_are_read_and_stored_in_lower_case(stage):
    fields = [{"name": "id", "type": "int"}, {"name": "shade", "type": "colour"}]
    await stage.shop.define({**BOOK, "name": "cover", "fields": fields})
    assert (await stage.shop.create("cover", {"shade": "#FFaa00"}))["shade"] == "#ffaa00"
    refused = await stage.shop.post("cover", {"shade": "red"})
    assert refused.error["details"][0]["message"] == "shade must be a valid colour"
    assert (await stage.shop.get("cover?filter[shade]=%23FFAA00")).meta["total"] == 1


async def audited_writes_are_witnessed(stage):
    await stage.shop.define({**BOOK, "name": "deed", "audit": True})
    await stage.shop.create("deed", {"title": "Sale"})
    assert stage.plugin.seen == [("create", "deed")]


async def imported_books_arrive(stage):
    rows = {"book": [{"title": "Emma"}, {"id": 50, "title": "Ulysses"}, {"title": None}]}
    answer = await stage.shop.post("_admin/import", {"version": 1, "entities": [BOOK], "sample_data": rows})
    assert answer.data["summary"]["records"] == 2
    assert sorted(stage.plugin.arrived) == ["Emma", "Ulysses"]


async def notices_have_admin_endpoints_and_are_exported(stage):
    made = await stage.shop.create("_admin/notices", {"text": "Closed on Sunday"})
    assert (await stage.shop.get(f"_admin/notices/{made['id']}")).data["text"] == "Closed on Sunday"
    assert (await stage.shop.get("_admin/export")).data["notices"] == [{"text": "Closed on Sunday"}]
    refused = await stage.shop.post("_admin/notices", {})
    assert refused.error["message"] == "notice text is required"


async def visits_have_a_table(stage):
    assert await stage.rows("VISITS") == []


async def tariffs_are_in_the_management_database(stage):
    await stage.plugin.choose(stage.kernel, "shop", "gold")
    async with stage.kernel.apps.management.read() as session:
        assert await TableRows(stage.names["TARIFFS"]).select(session) == [{"app": "shop", "tariff": "gold"}]


async def numbers_are_answered(stage):
    assert (await stage.shop.get("_numbers")).data == {"entities": 1}
    assert (await stage.shop.get("_NUMBERS/")).status == 200


async def letters_are_sent_once(stage):
    for _ in range(100):
        await stage.kernel.jobs.run_due()
        if stage.plugin.sent:
            break
        await asyncio.sleep(0.05)
    await stage.kernel.jobs.run_due()
    assert stage.plugin.sent == ["Solaris"]


async def command_greets(stage):
    rocket = command_line(stage.kernel.parts.plugins)
    assert CliRunner().invoke(rocket, ["greet", "Ursula"]).output == "Hello, Ursula.\n"


async def negative_price_is_refused(stage):
    refused = await stage.create(price=-1)
    assert refused.status == 422
    assert refused.error["details"] == [{"field": "price", "rule": "min", "message": "price must not be negative"}]


async def drafts_are_hidden(stage):
    await stage.create(draft=True, title="Unfinished")
    titles = [book["title"] for book in (await stage.shop.get("book")).data]
    assert "Solaris" in titles
    assert "Unfinished" not in titles


async def the_archive_is_for_archivists(stage):
    await stage.shop.define({**BOOK, "name": "deed", "archive": True})
    described = (await stage.shop.get("_openapi.json")).json
    assert "post" in described["paths"]["/deed"]
    clerk = Actor(id="7", email=None, roles=frozenset({"clerk"}))
    registry = (await stage.kernel.apps.app("shop")).registry
    (policy,) = registry.entity("deed").write_policies
    with pytest.raises(Forbidden, match="Only archivists may delete"):
        policy.grant(clerk, "delete")
    assert registry.entity("book").write_policies == ()


async def internals_are_for_administrators(stage):
    await stage.shop.define({**BOOK, "name": "ledger", "internal": True})
    names = [row["name"] for row in (await stage.shop.get("_admin/entities")).data]
    assert names == ["book", "ledger"]
    registry = (await stage.kernel.apps.app("shop")).registry
    clerk = Actor(id="7", email=None, roles=frozenset({"clerk"}))
    shown = [name for name, item in registry.model.entities.items() if registry.shows(clerk, "entities", item)]
    assert shown == ["book"]


async def only_the_key_opens(stage):
    assert (await stage.shop.get("book")).status == 200
    assert (await stage.shop.get("book", headers={"x-api-key": "sesame"})).status == 401
    assert (await stage.shop.with_headers({"x-api-key": ""}).get("book")).status == 401
    assert (await stage.client.get("/health", headers={"x-api-key": "wrong"})).status == 200


async def probes_get_an_answer(stage):
    assert (await stage.shop.get("book", headers={"User-Agent": "probe/1"})).data == "alive"


async def books_are_deprecated(stage):
    assert (await stage.shop.get("book")).headers["Deprecation"] == "true"
    assert "Deprecation" not in (await stage.shop.get("nothing")).headers


async def titles_are_trimmed(stage):
    assert (await stage.create(title="  Eden ")).data["title"] == "Eden"


async def quota_is_used_up(stage):
    assert [(await stage.create()).status for _ in range(3)] == [201, 201, 409]
    assert len(await stage.rows("CREATED")) == (await stage.shop.get("book")).meta["total"] == 3


async def only_drafts_are_deleted(stage):
    kept, draft = (await stage.create()).data, (await stage.create(draft=True)).data
    assert (await stage.shop.delete(f"book/{kept['id']}")).status == 409
    assert (await stage.shop.delete(f"book/{draft['id']}")).status == 200


async def the_dead_are_remembered(stage):
    book = (await stage.create()).data
    await stage.shop.delete(f"book/{book['id']}")
    (row,) = await stage.rows("TOMBSTONES")
    assert (row["entity"], row["record_id"]) == ("book", str(book["id"]))


async def writes_are_counted(stage):
    await stage.create()
    await stage.shop.post("book", {})
    assert stage.plugin.writes["book", "create"] == 2


async def letters_are_enqueued(stage):
    await stage.create(title="Fiasco")
    app = await stage.kernel.apps.app("shop")
    async with app.reading() as (session, _):
        jobs = await TableRows(JOBS).select(session, {"name": "post:send"})
    payloads = [job["payload"] for job in jobs]
    assert {"to": "the author", "title": "Fiasco"} in payloads
    assert len(payloads) == 2


async def initials_are_known_to_expressions(stage):
    body = {"expression": "initials(record.name)", "record": {"name": "Ada Lovelace"}}
    assert (await stage.shop.post("_admin/expressions/test", body)).data == {"value": "AL"}


async def everything_is_weighed_and_watched(stage):
    plugin = stage.plugin
    seen = [actions for app, method, actions in plugin.log.slow if (app, method) == ("shop", "POST")]
    assert any("record.weigh" in actions and "record.create" in actions for actions in seen)


async def parcels_are_counted(stage):
    app = await stage.kernel.apps.app("shop")
    stage.plugin.hand_over(app)
    read = {metric.name: metric.read for _, metric in (*stage.kernel.metrics.of_process, *stage.kernel.metrics.of_apps)}
    assert list(read["rocket_parcels_handed_over_total"]()) == [(("shop",), 1)]
    assert await read["rocket_parcels_waiting"](app) == [((), 0)]


async def traffic_is_measured(stage):
    answer = await stage.shop.get("book")
    await stage.client.get("/nowhere")
    sent = stage.plugin.bytes_sent
    assert sent["/api/:app/:entity", 200] == len(answer.body)
    assert sent[None, 404] > 0


async def the_diary_is_kept(stage):
    await stage.shop.post("book", {})
    assert [row["happened"] for row in await stage.rows("DIARY")] == ["book written"]


async def seals_stay_the_same(stage):
    async with stage.kernel.apps.management.write() as tx:
        key = await kept_secret(tx, "seals_key")
    assert len(key.reveal()) == 43
    assert stage.plugin.seal("letter") == hmac.digest(key.reveal().encode(), b"letter", "sha256").hex()


async def strangers_cannot_call(stage):
    tell = functools.partial(stage.kernel.parts.plugins.notify, "on_listening", kernel=stage.kernel)
    await tell(listening=Listening(Address("127.0.0.1", 8080)))
    with pytest.raises(StartupError, match=re.escape("so not on 0.0.0.0:8080")):
        await tell(listening=Listening(Address("0.0.0.0", 8080)))


async def app_has_a_birthday(stage):
    (row,) = await stage.rows("BIRTHDAYS")
    assert row["app"] == "shop"
    made = await stage.client.post("/api/_platform/apps", {"name": "mall"})
    assert list(made.data.items())[-1] == ("greeting", "Welcome, mall")
    assert "greeting" not in (await stage.client.get("/api/_platform/apps/mall")).data


async def thumbnails_go_with_the_app(stage):
    folders = [stage.kernel.parts.config.database.data_dir / "thumbnails" / app for app in ("shop", "mall")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "1.png").write_bytes(b"x")
    (await stage.client.delete("/api/_platform/apps/shop")).require(200)
    assert [folder.exists() for folder in folders] == [False, True]


async def app_has_a_cache(stage):
    assert (await stage.kernel.apps.app("shop")).stash["cache"] == {}


EFFECTS = {
    "register_field_types": colours_are_read_and_stored_in_lower_case,
    "register_entity_properties": audited_writes_are_witnessed,
    "register_metadata_kinds": notices_have_admin_endpoints_and_are_exported,
    "register_tables": visits_have_a_table,
    "register_platform_tables": tariffs_are_in_the_management_database,
    "register_routes": numbers_are_answered,
    "register_jobs": letters_are_sent_once,
    "register_commands": command_greets,
    "register_actions": letters_are_enqueued,
    "register_functions": initials_are_known_to_expressions,
    "register_span_sinks": everything_is_weighed_and_watched,
    "register_metrics": parcels_are_counted,
    "register_answer_observers": traffic_is_measured,
    "compile_write_steps": negative_price_is_refused,
    "compile_import_listener": imported_books_arrive,
    "compile_read_policy": drafts_are_hidden,
    "compile_write_policy": the_archive_is_for_archivists,
    "compile_metadata_policy": internals_are_for_administrators,
    "authenticate": only_the_key_opens,
    "on_request": probes_get_an_answer,
    "on_response": books_are_deprecated,
    "before_write": titles_are_trimmed,
    "after_write": quota_is_used_up,
    "before_delete": only_drafts_are_deleted,
    "after_delete": the_dead_are_remembered,
    "after_commit": writes_are_counted,
    "on_event": the_diary_is_kept,
    "on_platform_opened": seals_stay_the_same,
    "on_listening": strangers_cannot_call,
    "on_app_created": app_has_a_birthday,
    "on_app_deleted": thumbnails_go_with_the_app,
    "on_app_opened": app_has_a_cache,
}
LOGGED = {
    "on_started": "plugins: roll",
    "on_stopping": "stopping with 1 apps open",
    "on_app_closing": "closing shop at revision 1",
}
"""What the examples of the remaining hooks say in the log."""


def test_every_example_has_an_effect_that_is_tested():
    assert {*EFFECTS, *LOGGED} == set(HOOKS)


def config_in(folder: Any, plugin: type[Plugin]) -> Config:
    settings = {"apikey": {"key": KEY["x-api-key"]}} if plugin.name == "apikey" else {}
    database = DatabaseConfig(data_dir=folder / "data", synchronous="off")
    return Config(database=database, plugins=PluginsConfig(settings=settings))


@pytest.mark.parametrize("hook", HOOKS)
async def test_example_of_a_hook_runs(hook, example, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    names = example(heading(hook))
    calls: list[str] = []
    plugin = watched(plugin_of(names), hook, calls)
    async with run_kernel(config_in(tmp_path, plugin), plugins=[plugin]) as running:
        stage = BookShop(running, names)
        await stage.open_shop()
        (await stage.create()).require(201)
        if hook in EFFECTS:
            await EFFECTS[hook](stage)
    assert hook in calls
    assert LOGGED.get(hook, "") in caplog.text


async def test_example_of_writing_inside_a_write_runs(example, tmp_path):
    plugin = plugin_of(example(OTHER_EXAMPLES[1]))
    async with run_kernel(config_in(tmp_path, plugin), plugins=[plugin]) as running:
        stage = BookShop(running, {})
        await stage.open_shop()
        (await stage.create()).require(201)
        first, second = (await stage.shop.get("book?sort=id")).data
        assert [(book["title"], book["draft"]) for book in (first, second)] == [
            ("Solaris", False),
            ("Solaris II", True),
        ]
        app = await stage.kernel.apps.app("shop")
        await stage.plugin.publish(
            app, second["id"], "2026-05-04T03:02:01.000Z", "11111111-1111-4111-8111-111111111111"
        )
        assert (await stage.shop.get(f"book/{second['id']}")).data["draft"] is False


async def test_example_of_asking_runs(example, tmp_path):
    asking, hiding = plugin_of(example(OTHER_EXAMPLES[2])), plugin_of(example(heading("compile_read_policy")))
    async with run_kernel(config_in(tmp_path, asking), plugins=[asking, hiding, Actors]) as running:
        stage = BookShop(running, {})
        await stage.open_shop()
        shown, draft = (await stage.create()).data, (await stage.create(draft=True)).data
        clerk = stage.shop.as_actor(Actor(id="7", email=None, roles=frozenset({"clerk"})))
        answer = await clerk.get(f"book/{shown['id']}/_summary")
        assert answer.data == "id: 1, title: Solaris, price: None, draft: False"
        assert (await clerk.get(f"book/{draft['id']}/_summary")).status == 404


async def test_example_of_operators_runs(example, tmp_path):
    plugin = plugin_of(example(OTHER_EXAMPLES[3]))
    async with run_kernel(config_in(tmp_path, plugin), plugins=[plugin]) as running:
        shop = await running.client.app("shop")
        await shop.define(entity("cover", shade="shade"))
        for shade in ("#000000", "#102030", "#ffffff", None):
            await shop.create("cover", {"shade": shade})
        near = {"filter[shade.near]": "#112233,60", "sort": "-shade.near"}
        found = (await shop.get("cover", params=near)).require(200).data
        assert [cover["shade"] for cover in found] == ["#102030"]
        far = {"filter[shade.near]": "#112233,999", "sort": "shade.near"}
        found = (await shop.get("cover", params=far)).require(200).data
        assert [cover["shade"] for cover in found] == ["#102030", "#000000", "#ffffff"]
        assert (await shop.get("cover?filter[shade.near]=%23112233")).status == 400


async def test_example_of_a_plugin_class_runs(example, tmp_path):
    plugin = plugin_of(example(OTHER_EXAMPLES[0]))
    async with run_kernel(config_in(tmp_path, plugin), plugins=[plugin]) as running:
        assert (await running.client.get("/health")).headers["X-Greeting"] == "hello"


def test_examples_import_from_the_kernel_and_nowhere_deeper(page):
    found = set(re.findall(r"^from (rocket_kernel\.[\w.]+) import", page(PAGE).text, re.MULTILINE))
    assert found == set()


def test_every_python_block_is_an_example_that_is_run(page):
    blocks = [block.info for block in page(PAGE).blocks("python")]
    assert blocks == ["python"] * (len(HOOKS) + len(OTHER_EXAMPLES))
