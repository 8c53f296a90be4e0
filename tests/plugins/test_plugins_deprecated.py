"""What goes with a later release is told to whoever develops a plugin and to whoever starts a server with it."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import MappingProxyType

import pytest

from rocket_kernel import Plugin, RocketDeprecationWarning, deprecated, hookimpl, hookspecs, make_kernel
from rocket_kernel.config import Config
from rocket_kernel.deprecated import OldName, going
from rocket_kernel.plugins import load_plugins

OLD = MappingProxyType(
    {
        "rocket_kernel.OldStage": OldName("rocket_kernel.write.stages", "Stage", "2.0", "`Stage`"),
        "rocket_kernel.testing.old_entity": OldName("rocket_kernel.testing.factories", "entity", "2.0", "`entity`"),
    }
)
PLUGIN = """
from rocket_kernel import OldStage, Plugin

class Relic(Plugin):
    name = "relic"
    stage = OldStage.RULES
"""


def told(kernel):
    return list(kernel.parts.plugins.deprecations)


@pytest.fixture
def old_names(monkeypatch):
    monkeypatch.setattr(deprecated, "OLD_NAMES", OLD)
    monkeypatch.setattr(deprecated, "_users", {})


@pytest.fixture
def relic(old_names, tmp_path, monkeypatch):
    package = tmp_path / "rocket_relic"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("rocket_relic", None)


def test_a_deprecated_name_still_works_and_warns_at_the_import(relic):
    with pytest.warns(RocketDeprecationWarning) as caught:
        module = importlib.import_module("rocket_relic")
    text = "rocket_kernel.OldStage is deprecated and will be removed in Rocket 2.0: use `Stage`"
    assert {str(warning.message) for warning in caught} == {text}
    assert {warning.filename for warning in caught} == {module.__file__}
    assert module.Relic.stage == "rules"
    # Once at start, with the plugin's name, for every kernel that has it.
    for _ in range(2):
        assert told(make_kernel(Config(), plugins=[module.Relic])) == [f"plugin 'relic': {text} (rocket_relic.py)"]
    assert told(make_kernel(Config(), plugins=[type("Other", (Plugin,), {"name": "other"})])) == []


def test_a_deprecated_name_of_the_testing_kit(old_names):
    import rocket_kernel.testing

    with pytest.warns(RocketDeprecationWarning, match="rocket_kernel.testing.old_entity is deprecated"):
        found = rocket_kernel.testing.old_entity
    assert found is rocket_kernel.testing.entity


def test_names_that_were_never_there_are_attribute_errors(old_names):
    import rocket_kernel.testing

    for package in (rocket_kernel, rocket_kernel.testing):
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nonsense'"):
            _ = package.nonsense


@pytest.fixture
def old_hook(monkeypatch):
    """`on_started` goes, and with it its parameter `kernel`."""
    options = getattr(hookspecs.on_started, f"{hookspecs.PROJECT}_spec")
    hook = going("the hook on_started", removed_in="2.0", instead="on_begun")
    parameter = going("the parameter kernel", removed_in="1.5", instead="app")
    changed = {**options, "warn_on_impl": hook, "warn_on_impl_args": {"kernel": parameter}}
    monkeypatch.setattr(hookspecs.on_started, f"{hookspecs.PROJECT}_spec", changed)


def test_a_deprecated_hook_and_parameter_warn_and_are_told_of(old_hook):
    @hookimpl
    async def both(self, kernel):
        return None

    @hookimpl
    async def hook_alone(self):
        return None

    classes = [
        type("A", (Plugin,), {"name": "a", "on_started": both}),
        type("B", (Plugin,), {"name": "b", "on_started": hook_alone}),
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_plugins(classes, {})
    assert {warning.category for warning in caught} == {RocketDeprecationWarning}
    assert {warning.filename for warning in caught} == {__file__}
    gone = "the hook on_started is deprecated and will be removed in Rocket 2.0: use on_begun"
    kernel = "the parameter kernel is deprecated and will be removed in Rocket 1.5: use app"
    shown = [text.rpartition(" (")[0] for text in loaded.deprecations]
    assert shown == [
        f"plugin 'a', hook on_started: {gone}",
        f"plugin 'a', hook on_started: {kernel}",
        f"plugin 'b', hook on_started: {gone}",
    ]
    assert all("test_plugins_deprecated.py:" in text for text in loaded.deprecations)


def test_nothing_is_deprecated_without_a_release_that_removes_it():
    for full, old in deprecated.OLD_NAMES.items():
        package, _, name = full.rpartition(".")
        assert package in ("rocket_kernel", "rocket_kernel.testing")
        assert name not in dir(importlib.import_module(package))
        assert old.removed_in
        assert hasattr(importlib.import_module(old.module), old.attribute)
