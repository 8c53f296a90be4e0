"""`rocket` run in the test's own process, on each database in turn."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rocket_kernel.cli import command_line
from rocket_kernel.plugins import Plugin, load_plugins
from rocket_kernel.testing import Database

Rocket = Callable[..., Result]

ARTIST = {
    "name": "artist",
    "primary_key": {"field": "id", "type": "int", "generated": True},
    "fields": [{"name": "id", "type": "int"}, {"name": "name", "type": "string", "required": True}],
}
ALBUM = {
    "name": "album",
    "primary_key": {"field": "id", "type": "int", "generated": True},
    "fields": [{"name": "id", "type": "int"}, {"name": "artist_id", "type": "int"}],
}
ALBUMS = {
    "name": "artist_albums",
    "type": "one_to_many",
    "source": "artist",
    "target": "album",
    "target_key": "artist_id",
}
DOCUMENT = {
    "version": 1,
    "entities": [ARTIST, ALBUM],
    "relations": [ALBUMS],
    "sample_data": {"artist": [{"id": 1, "name": "AC/DC"}, {"id": 2, "name": "Björk"}], "album": [{"artist_id": 1}]},
}


def configuration(database: Database) -> dict[str, Any]:
    """What `app.yaml` says of the test's database; JSON is YAML. No plugin that happens to be installed takes part."""
    place = database.config()
    section = {
        "driver": place.driver,
        "data_dir": str(place.data_dir),
        "synchronous": place.synchronous,
        "name": place.name,
        "host": place.host,
        "port": place.port,
        "user": place.user,
        "password": place.password.reveal() if place.password is not None else None,
    }
    return {"database": section, "plugins": {"enabled": []}}


@pytest.fixture
def rocket(database: Database, rocket_folder: Path) -> Rocket:
    """Runs `rocket` with these arguments; `plugins` bring commands."""
    (rocket_folder / "app.yaml").write_text(json.dumps(configuration(database)))

    def run(*arguments: str, plugins: Sequence[type[Plugin]] = ()) -> Result:
        return CliRunner().invoke(command_line(load_plugins(plugins, {})), arguments, prog_name="rocket")

    return run


@pytest.fixture
def app_name() -> str:
    """A database server knows one namespace for the apps of all tests that run on it."""
    return f"shop-{secrets.token_hex(4)}"


@pytest.fixture
def shop(rocket: Rocket, app_name: str) -> str:
    """A new app's name."""
    assert rocket("apps", "create", app_name).exit_code == 0
    return app_name


@pytest.fixture
def document(tmp_path: Path) -> Callable[..., str]:
    """A file with an import document, or with other text or bytes."""

    def write(content: Any = None) -> str:
        file = tmp_path / "document.json"
        body = content if isinstance(content, bytes) else json.dumps(content or DOCUMENT).encode()
        file.write_bytes(body)
        return str(file)

    return write
