"""Server processes find plugins that no installed distribution announces."""

import importlib
import sys

from rocket_kernel.testing import ServerProcess
from rocket_kernel.testing.announced import announced

SOURCE = """
from rocket_kernel import Plugin, hookimpl


class Signing(Plugin):
    name = "signing_{number}"
    version = "1.0"

    @hookimpl
    async def on_response(self, request, response):
        response.headers["X-Signed-{number}"] = "yes"
"""


def written(folder, number, *, as_package):
    """A plugin in a module of its own, imported."""
    name = f"kit_signing_{number}"
    file = folder / name / "__init__.py" if as_package else folder / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SOURCE.replace("{number}", str(number)))
    return importlib.import_module(name).Signing


async def test_plugins_that_are_not_installed_take_part(tmp_path, database, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    plugins = [written(tmp_path / "lib", 1, as_package=True), written(tmp_path / "lib", 2, as_package=False)]
    try:
        with ServerProcess(tmp_path / "server", database.config(), plugins=plugins) as server:
            async with server.caller() as caller:
                headers = (await caller.get("/health")).headers
        assert (headers["X-Signed-1"], headers["X-Signed-2"]) == ("yes", "yes")
    finally:
        for number in (1, 2):
            del sys.modules[f"kit_signing_{number}"]


def test_nothing_is_written_where_nothing_is_missing(tmp_path):
    assert announced(tmp_path, []) == {}
    assert list(tmp_path.iterdir()) == []
