"""Plugins are found, validated, ordered and given their settings before anything starts."""

import asyncio
import itertools
import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from rocket_kernel import (
    AccessClass,
    ActionType,
    Column,
    ColumnType,
    Config,
    Conflict,
    FieldType,
    Function,
    MetadataKind,
    Plugin,
    Route,
    Storage,
    Table,
    hookimpl,
    make_kernel,
    plugin_checks,
)
from rocket_kernel import plugins as machinery
from rocket_kernel.config import PluginsConfig
from rocket_kernel.errors import ConfigError, PluginError, StartupError
from rocket_kernel.plugins import installed_plugins, load_plugins

PLACE = re.compile(r" \((?:tests/plugins/)?test_plugins_loading\.py(?::\d+)?\)$")


def plugin(name, **members):
    """A plugin class with these attributes and methods."""
    return type("Made", (Plugin,), {"name": name, **members})


def refusal(*classes, loads=False, **settings):
    """The text that stops the start of a kernel; unless it `loads`, the loader refuses with the same text.

    What is said of a plugin that there is names its file, which is this one, and is left out here.
    """
    with pytest.raises(StartupError) as refused:
        make_kernel(Config(plugins=PluginsConfig(settings=settings)), plugins=classes)
    if not loads:
        with pytest.raises(type(refused.value)) as again:
            load_plugins(classes, settings)
        assert str(again.value) == str(refused.value)
    text = PLACE.sub("", str(refused.value))
    is_plugin = all(isinstance(candidate, type) and issubclass(candidate, Plugin) for candidate in classes)
    if is_plugin and isinstance(refused.value, PluginError):
        assert text != str(refused.value), f"without a place: {text}"
    return text


def order(*classes):
    return [loaded.name for loaded in load_plugins(classes, {}).plugins]


@hookimpl
async def misspelt(self, write):
    raise AssertionError


@hookimpl
async def unknown_parameter(self, write, record):
    raise AssertionError


@hookimpl
async def with_default(self, write=None):
    raise AssertionError


@hookimpl
async def with_positionals(self, *write):
    raise AssertionError


@hookimpl
async def with_keywords(self, **write):
    raise AssertionError


@hookimpl
def plain(self, write):
    raise AssertionError


@hookimpl
async def asynchronous(self):
    raise AssertionError


async def unmarked(self, write):
    raise AssertionError


@pytest.mark.parametrize(
    ("hook", "method", "problem"),
    [
        ("before_wriet", misspelt, "there is no hook of this name"),
        ("before_write", unknown_parameter, "has an unknown parameter 'record'"),
        ("before_write", with_default, "must not give 'write' a default"),
        ("before_write", with_positionals, "must name its parameters, without * and **"),
        ("before_write", with_keywords, "must name its parameters, without * and **"),
        ("before_write", plain, "must be async def"),
        ("register_tables", asynchronous, "must be a plain def"),
        ("before_write", unmarked, "is not marked with @hookimpl"),
    ],
)
def test_a_faulty_hook_stops_the_start(hook, method, problem):
    assert refusal(plugin("faulty", **{hook: method})) == f"plugin 'faulty', hook {hook}: {problem}"


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}, {"tryfirst": True}, {"trylast": True}])
def test_wrappers_and_places_in_the_queue_are_refused(options):
    @hookimpl(**options)
    def register_tables(self):
        yield

    problem = "wrappers, tryfirst and trylast are refused: declare `after`"
    assert (
        refusal(plugin("pushy", register_tables=register_tables)) == f"plugin 'pushy', hook register_tables: {problem}"
    )


def test_faults_of_an_inherited_method_count_too():
    base = plugin("base", before_write=unmarked)
    assert refusal(type("Heir", (base,), {"name": "heir"})).startswith(
        "plugin 'heir', hook before_write: is not marked"
    )


def test_parameters_that_are_not_needed_may_be_left_out():
    @hookimpl
    async def before_write(self):
        return None

    @hookimpl
    def compile_write_steps(self, entity):
        return [entity]

    loaded = load_plugins([plugin("brief", before_write=before_write, compile_write_steps=compile_write_steps)], {})
    assert loaded.collect("compile_write_steps", entity="post", model=None) == [("brief", "post")]
    assert [item.plugin for item in loaded.of("before_write")] == ["brief"]
    assert loaded.of("after_write") == ()


def test_what_is_no_plugin():
    for candidate in (plugin("x")(), object, type("Bare", (), {"name": "x"}), "x", None):
        assert refusal(candidate).endswith("is not a subclass of rocket_kernel.Plugin")
    nameless = type("Nameless", (Plugin,), {})
    assert refusal(nameless) == "plugin 'Nameless': declares no usable `name`"
    for name in ("", "two words", "a.b", "a:b", 5, None):
        assert refusal(plugin(name)) == "plugin 'Made': declares no usable `name`"
    assert refusal(plugin("kernel")) == "plugin 'Made': the name 'kernel' belongs to the kernel's own steps and tables"
    assert order(plugin("a-b_2")) == ["a-b_2"]


def test_two_plugins_of_one_name():
    assert refusal(plugin("twin"), plugin("other"), plugin("twin")) == "plugin 'twin': two plugins have this name"
    same = plugin("twin")
    assert refusal(same, same) == "plugin 'twin': two plugins have this name"


def test_an_unmet_requirement():
    needy = plugin("needy", requires=("first", "second"))
    problem = "plugin 'needy': requires the plugin 'second', which is not enabled"
    assert refusal(needy, plugin("first")) == problem
    assert order(needy, plugin("second"), plugin("first")) == ["first", "needy", "second"]


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (0, "was built for engine API 0, this kernel has 1: it needs a newer release of the plugin"),
        (2, "was built for engine API 2, this kernel has 1: it needs a newer rocket-kernel"),
        ("1", "declares engine_api '1', which is no whole number"),
        (True, "declares engine_api True, which is no whole number"),
    ],
)
def test_another_engine_api(number, problem):
    assert refusal(plugin("old", engine_api=number)) == f"plugin 'old': {problem}"


def test_plugins_of_a_former_engine_api_go_on_working_as_long_as_the_kernel_says_so(monkeypatch):
    monkeypatch.setattr(plugin_checks, "ENGINE_API", 3)
    monkeypatch.setattr(plugin_checks, "OLDEST_ENGINE_API", 2)
    assert order(plugin("former", engine_api=2), plugin("present", engine_api=3)) == ["former", "present"]
    for number in (1, 4):
        assert "this kernel has 3" in refusal(plugin("other", engine_api=number))


def test_a_cycle_in_the_order():
    circle = [plugin("a", after=("c",)), plugin("b", after=("a",)), plugin("c", after=("b",))]
    for classes in itertools.permutations(circle):
        problem = refusal(*classes)
        assert "the declared order has a cycle: " in problem
        assert all(name in problem for name in ("a", "b", "c"))
    mutual = refusal(plugin("x", after=("y",)), plugin("y", after=("x",)))
    assert "has a cycle" in mutual
    assert "has a cycle" in refusal(plugin("x", before=("y",)), plugin("y", before=("x",)))
    assert "has a cycle" in refusal(plugin("x", after=("x",)))
    # The same thing said twice is no circle.
    assert order(plugin("x", after=("y",)), plugin("y", before=("x",))) == ["y", "x"]


def test_the_order_is_declared_and_never_that_of_registration():
    classes = [
        plugin("alpha", after=("zulu", "absent")),
        plugin("bravo"),
        plugin("charlie", before=("bravo",)),
        plugin("zulu"),
    ]
    for registered in itertools.permutations(classes):
        assert order(*registered) == ["charlie", "zulu", "alpha", "bravo"]


def test_hooks_run_in_the_order_of_the_plugins():
    @hookimpl
    def register_tables(self):
        return [self.name]

    names = {"a": ("c",), "b": (), "c": ("b",)}
    classes = [plugin(name, after=after, register_tables=register_tables) for name, after in names.items()]
    for registered in itertools.permutations(classes):
        collected = load_plugins(registered, {}).collect("register_tables")
        assert collected == [("b", "b"), ("c", "c"), ("a", "a")]


@dataclass(frozen=True)
class Shades:
    color: str = "red"
    count: int = 3
    deep: tuple[str, ...] = ()


def test_settings_have_defaults_and_are_checked():
    painter = plugin("painter", Settings=Shades)
    assert load_plugins([painter], {}).plugins[0].settings == Shades()
    given = load_plugins([painter], {"painter": {"count": 5, "deep": ["x"]}, "absent": {"any": 1}})
    assert given.plugins[0].settings == Shades(count=5, deep=("x",))
    unknown = refusal(painter, painter={"colour": "blue"})
    assert unknown.startswith("unknown configuration key: plugins.settings.painter.colour")
    assert "plugins.settings.painter.count" in refusal(painter, painter={"count": "many"})
    assert "plugins.settings.painter.color" in refusal(painter, painter={"color": 5})
    with pytest.raises(ConfigError):
        load_plugins([painter], {"painter": {"count": None}})


def test_a_plugin_without_settings_takes_none():
    assert load_plugins([plugin("bare")], {"bare": {}}).plugins[0].settings is None
    expected = "unknown configuration key: plugins.settings.bare.color (the plugin has no settings)"
    assert refusal(plugin("bare"), bare={"color": "red"}) == expected


def test_each_kernel_has_instances_of_its_own():
    painter = plugin("painter", Settings=Shades)
    first, second = (
        make_kernel(Config(plugins=PluginsConfig(settings={"painter": {"count": count}})), plugins=[painter])
        for count in (1, 2)
    )
    one, two = first.parts.plugins.find("painter"), second.parts.plugins.find("painter")
    assert (one.settings.count, two.settings.count) == (1, 2)
    assert one is not two


def test_a_refused_plugin_leaves_nothing_behind():
    refusal(plugin("good"), plugin("faulty", before_write=plain))
    assert order(plugin("good"), plugin("faulty")) == ["faulty", "good"]


@pytest.fixture
def announce(monkeypatch):
    """Makes installed distributions announce these plugins."""

    def made(**found):
        monkeypatch.setattr(
            machinery, "entry_points", lambda group: _points(found) if group == "rocket.plugins" else ()
        )

    return made


def _points(found):
    for name, value in found.items():
        loaders = value if isinstance(value, list) else [value]
        for position, loaded in enumerate(loaders):
            point = SimpleNamespace(
                name=name, value=f"package_{position}:{name}", load=lambda loaded=loaded: _load(loaded)
            )
            yield point


def _load(loaded):
    if isinstance(loaded, Exception):
        raise loaded
    return loaded


def test_installed_plugins_are_all_enabled_unless_the_configuration_chooses(announce):
    a, b, c = (plugin(name) for name in "abc")
    announce(c=c, a=a, b=b)
    assert installed_plugins() == installed_plugins("all") == [a, b, c]
    assert installed_plugins(("c", "a", "c")) == [c, a]
    assert installed_plugins(()) == []
    kernel = make_kernel(Config(plugins=PluginsConfig(enabled=("c", "b"))))
    assert [loaded.name for loaded in kernel.parts.plugins.plugins] == ["b", "c"]


def test_a_name_that_is_not_installed_stops_the_start(announce):
    announce(b=plugin("b"), a=plugin("a"))
    problem = "plugin 'x': is enabled in the configuration but not installed (installed: a, b)"
    with pytest.raises(PluginError) as refused:
        make_kernel(Config(plugins=PluginsConfig(enabled=("a", "x"))))
    assert str(refused.value) == problem
    announce()
    with pytest.raises(PluginError, match=r"\(installed: none\)"):
        make_kernel(Config(plugins=PluginsConfig(enabled=("a",))))


def test_a_faulty_distribution_stops_the_start_unless_it_is_left_out(announce):
    for found, problem in (
        ({"a": ImportError("no module")}, "plugin 'a': cannot be imported from package_0:a: no module"),
        ({"a": plugin("b")}, "plugin 'a': the entry point package_0:a names itself 'b'"),
        ({"a": plugin("a")()}, "plugin 'a': is not a subclass of rocket_kernel.Plugin"),
        ({"a": plugin("")}, "plugin 'a': declares no usable `name`"),
    ):
        good = plugin("good")
        announce(**found, good=good)
        with pytest.raises(PluginError) as refused:
            make_kernel(Config())
        assert PLACE.sub("", str(refused.value)) == problem
        assert installed_plugins(("good",)) == [good]


def test_two_distributions_with_one_plugin(announce):
    announce(a=[plugin("a"), plugin("a")], b=plugin("b"))
    for enabled in ("all", ("a",), ("b",)):
        with pytest.raises(PluginError) as refused:
            make_kernel(Config(plugins=PluginsConfig(enabled=enabled)))
        problem = "plugin 'a': two installed distributions bring it: package_0:a and package_1:a"
        assert str(refused.value) == problem


def collecting(name, hook, *values):
    @hookimpl
    def collect(self):
        return values

    return plugin(name, **{hook: collect})


def table(name):
    return Table(name, (Column("id", ColumnType(Storage.UUID), nullable=False),), ("id",))


def color(name):
    return FieldType(name=name, storage=Storage.TEXT, read=None, read_filter=None, operators=frozenset())


def route(method, path):
    return Route(method=method, path=path, access=AccessClass.PUBLIC, handler=None)


TABLES, TYPES, ROUTES = "register_tables", "register_field_types", "register_routes"


@pytest.mark.parametrize(
    ("hook", "values", "problem"),
    [
        (TABLES, [table("colors")], "hook register_tables: system table 'colors' must begin with '_'"),
        (TABLES, [table("_entities")], "hook register_tables: table '_entities' belongs to 'kernel'"),
        (TABLES, [table("_state")], "hook register_tables: table '_state' belongs to 'kernel'"),
        (TABLES, [table("_a"), table("_a")], "hook register_tables: table '_a' belongs to 'second'"),
        (TABLES, [table("_shared")], "hook register_tables: table '_shared' belongs to 'first'"),
        (TYPES, [color("decimal")], "hook register_field_types: field type 'decimal' is taken by 'kernel'"),
        (TYPES, [color("shared")], "hook register_field_types: field type 'shared' is taken by 'first'"),
        (ROUTES, [route("GET", "/health")], "hook register_routes: route GET /health is 'kernel''s"),
        (ROUTES, [route("GET", "/HEALTH/")], "hook register_routes: route GET /HEALTH/ is 'kernel''s"),
        (ROUTES, [route("GET", "/api/:app/:other")], "hook register_routes: route GET /api/:app/:other is 'kernel''s"),
        (
            ROUTES,
            [route("POST", "/api/:app/_shared")],
            "hook register_routes: route POST /api/:app/_shared is 'first''s",
        ),
    ],
)
def test_collisions_stop_the_start(hook, values, problem):
    first = {TABLES: table("_shared"), TYPES: color("shared"), ROUTES: route("POST", "/api/:app/_shared")}
    classes = [collecting("second", hook, *values), collecting("first", hook, first[hook])]
    assert refusal(*classes, loads=True) == f"plugin 'second', {problem}"


def test_a_collector_that_fails_stops_the_start_and_is_named():
    @hookimpl
    def at_once(self):
        raise ValueError("boom")

    @hookimpl
    def later(self):
        yield from ()
        raise ValueError("boom")

    @hookimpl
    def no_sequence(self):
        return 5

    for hook in (TABLES, TYPES, ROUTES, "register_metadata_kinds"):
        for collect, problem in (
            (at_once, "raised ValueError: boom"),
            (later, "raised ValueError: boom"),
            (no_sequence, "raised TypeError: 'int' object is not iterable"),
        ):
            assert (
                refusal(plugin("broken", **{hook: collect}), loads=True) == f"plugin 'broken', hook {hook}: {problem}"
            )
        make_kernel(Config(), plugins=[collecting("empty", hook)])


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("register_tables", "Table"),
        ("register_platform_tables", "Table"),
        ("register_field_types", "FieldType"),
        ("register_routes", "Route"),
        ("register_jobs", "Job"),
        ("register_actions", "ActionType"),
        ("register_functions", "Function"),
        ("register_metadata_kinds", "MetadataKind"),
    ],
)
def test_a_collector_that_returns_something_else_is_named(hook, expected):
    for value, shown in (("x", "str"), (5, "int"), (Table, "type")):
        text = refusal(collecting("odd", hook, value), loads=True)
        assert text == f"plugin 'odd', hook {hook}: returned {shown} instead of {expected}"


def test_whatever_a_collector_raises_is_named():
    for error, problem in (
        (Conflict("not now"), "raised Conflict: not now"),
        (StartupError("the key is missing"), "the key is missing"),
        (SystemExit(3), "raised SystemExit: 3"),
        (asyncio.CancelledError(), "raised CancelledError: "),
    ):

        def raising(error):
            @hookimpl
            def register_routes(self):
                raise error

            return register_routes

        text = refusal(plugin("loud", register_routes=raising(error)), loads=True)
        assert text == f"plugin 'loud', hook register_routes: {problem}"


def test_a_plugin_that_cannot_be_made_is_named():
    def broken(self, settings=None):
        raise ZeroDivisionError("no")

    assert refusal(plugin("unborn", __init__=broken)) == "plugin 'unborn': cannot be made: ZeroDivisionError: no"


def test_names_that_two_plugins_claim_are_refused_with_both_owners():
    def kind(name, path, table_name):
        return MetadataKind(
            name=name, singular=name, path=path, noun=name, table=table(table_name), rank=5,
            parse=None, body=None, row=None, identity=None, value=None, export=None, label=None,
        )  # fmt: skip

    claims = [
        ("register_actions", lambda name: ActionType(name, None, None), "action type 'x' is taken by 'first'"),
        ("register_functions", lambda name: Function(name=name, call=len, least=1, most=1), "function 'x' is taken by 'first'"),
        ("register_metadata_kinds", lambda name: kind(name, "a", "_x"), "metadata kind with the 'name x' is declared by 'first' too"),
        ("register_platform_tables", lambda name: table(f"_{name}"), "table '_x' belongs to 'first'"),
    ]  # fmt: skip
    for hook, make, problem in claims:
        text = refusal(collecting("second", hook, make("x")), collecting("first", hook, make("x")), loads=True)
        assert text == f"plugin 'second', hook {hook}: {problem}"
    text = refusal(
        collecting("second", "register_tables", table("_x")),
        collecting("first", "register_metadata_kinds", kind("x", "a", "_x")),
        loads=True,
    )
    assert text == "plugin 'second', hook register_tables: table '_x' belongs to 'first'"
