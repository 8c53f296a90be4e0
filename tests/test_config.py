from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Protocol

import pytest

from rocket_kernel.config import Config, load_config
from rocket_kernel.errors import ConfigError
from rocket_kernel.secret import Secret


class Load(Protocol):
    def __call__(
        self,
        text: str | None = None,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> Config: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a configuration from the text of an app.yaml, an environment and a command line."""

    def load(text=None, environ=None, overrides=None):
        if text is not None:
            (tmp_path / "app.yaml").write_text(text)
        return load_config(environ=environ or {}, cwd=tmp_path, overrides=overrides)

    return load


def value_of(config: object, key: str) -> object:
    for name in key.split("."):
        config = getattr(config, name)
    return config


DEFAULTS = {
    "server.host": "127.0.0.1",
    "server.port": 8080,
    "server.workers": 1,
    "server.server": "auto",
    "server.cors_origins": (),
    "server.max_body_bytes": 10485760,
    "database.driver": "sqlite",
    "database.host": "localhost",
    "database.port": 5432,
    "database.user": None,
    "database.password": None,
    "database.name": "rocket",
    "database.pool_size": 10,
    "database.synchronous": "full",
    "app_pool_size": 5,
    "platform_jwt_secret": None,
    "storage.driver": "local",
    "storage.max_file_size": 10485760,
    "storage.s3.endpoint": None,
    "storage.s3.bucket": None,
    "storage.s3.region": None,
    "storage.s3.access_key": None,
    "storage.s3.secret_key": None,
    "storage.s3.prefix": "",
    "storage.s3.path_style": False,
    "limits.max_per_page": 200,
    "limits.include_depth": 4,
    "limits.nested_depth": 8,
    "limits.nested_records": 1000,
    "instrumentation.enabled": True,
    "instrumentation.retention_days": 7,
    "instrumentation.sampling_rate": 1.0,
    "instrumentation.buffer_size": 500,
    "instrumentation.flush_interval_ms": 100,
    "plugins.enabled": "all",
    "plugins.settings": {},
}


def test_the_defaults_are_the_promised_ones(load, tmp_path):
    config = load()
    assert {key: value_of(config, key) for key in DEFAULTS} == DEFAULTS
    assert config.database.data_dir == tmp_path / "data"
    assert config.storage.local_path == tmp_path / "uploads"


def test_a_configuration_is_frozen(load):
    with pytest.raises(FrozenInstanceError):
        load().server.port = 1


# Where the file is found


@pytest.mark.parametrize("below", ["", "a", "a/b"])
def test_the_file_is_searched_in_the_folder_its_parent_and_its_grandparent(tmp_path, below):
    (tmp_path / "app.yaml").write_text("server: {port: 9000}")
    cwd = tmp_path / below
    cwd.mkdir(parents=True, exist_ok=True)
    assert load_config(environ={}, cwd=cwd).server.port == 9000


def test_the_search_ends_at_the_grandparent(tmp_path):
    (tmp_path / "app.yaml").write_text("server: {port: 9000}")
    cwd = tmp_path / "a/b/c"
    cwd.mkdir(parents=True)
    assert load_config(environ={}, cwd=cwd).server.port == 8080


def test_the_nearest_file_is_the_only_one_read(tmp_path):
    cwd = tmp_path / "a"
    cwd.mkdir()
    (tmp_path / "app.yaml").write_text("server: {port: 9000, workers: 3}")
    (cwd / "app.yaml").write_text("server: {port: 9001}")
    server = load_config(environ={}, cwd=cwd).server
    assert (server.port, server.workers) == (9001, 1)


@pytest.mark.parametrize("relative", [True, False])
def test_a_named_file_is_read_instead_of_app_yaml(tmp_path, relative):
    (tmp_path / "app.yaml").write_text("server: {port: 9000}")
    (tmp_path / "other.yaml").write_text("server: {workers: 2}")
    path = Path("other.yaml") if relative else tmp_path / "other.yaml"
    server = load_config(path=path, environ={}, cwd=tmp_path).server
    assert (server.port, server.workers) == (8080, 2)


def test_a_named_file_that_is_missing_stops_the_start(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load_config(path=Path("nowhere.yaml"), environ={}, cwd=tmp_path)


def test_a_folder_in_the_place_of_the_file_stops_the_start(tmp_path):
    (tmp_path / "app.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"app\.yaml: Is a directory"):
        load_config(environ={}, cwd=tmp_path)


def test_relative_folders_belong_to_the_working_directory(load, tmp_path):
    config = load("database: {data_dir: ./rows}\nstorage: {local_path: /srv/files}")
    assert config.database.data_dir == tmp_path / "rows"
    assert config.storage.local_path == Path("/srv/files")


# Which source wins


def test_command_line_over_environment_over_file_over_default(load):
    text = "server: {host: file, port: 1, workers: 4}"
    environ = {"ROCKET_SERVER__HOST": "environment", "ROCKET_SERVER__PORT": "2"}
    server = load(text, environ, {"server.host": "command-line"}).server
    assert (server.host, server.port, server.workers, server.server) == ("command-line", 2, 4, "auto")


def test_an_option_that_was_not_given_overrides_nothing(load):
    assert load("server: {port: 9000}", overrides={"server.port": None}).server.port == 9000


def test_lists_are_replaced_whole(load):
    config = load("server: {cors_origins: [a, b]}", {"ROCKET_SERVER__CORS_ORIGINS": "[c]"})
    assert config.server.cors_origins == ("c",)


def test_a_plugins_settings_are_merged_key_by_key(load):
    text = "plugins: {settings: {auth: {access_token_s: 60, invite_ttl_h: 1}}}"
    settings = load(text, {"ROCKET_PLUGINS__SETTINGS__AUTH__INVITE_TTL_H": "2"}).plugins.settings
    assert settings == {"auth": {"access_token_s": 60, "invite_ttl_h": "2"}}


# The environment


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("ROCKET_SERVER__HOST", "0.0.0.0", "server.host", "0.0.0.0"),
        ("ROCKET_DATABASE__NAME", "5432", "database.name", "5432"),
        ("ROCKET_DATABASE__USER", "null", "database.user", "null"),
        ("ROCKET_DATABASE__USER", "", "database.user", None),
        ("ROCKET_DATABASE__PASSWORD", "0123", "database.password", Secret("0123")),
        ("ROCKET_PLATFORM_JWT_SECRET", "true", "platform_jwt_secret", Secret("true")),
        ("ROCKET_PLATFORM_JWT_SECRET", "", "platform_jwt_secret", None),
        ("ROCKET_APP_POOL_SIZE", "7", "app_pool_size", 7),
        ("ROCKET_SERVER__PORT", "0", "server.port", 0),
        ("ROCKET_DATABASE__DRIVER", "postgres", "database.driver", "postgres"),
        ("ROCKET_DATABASE__SYNCHRONOUS", "off", "database.synchronous", "off"),
        ("ROCKET_INSTRUMENTATION__ENABLED", "false", "instrumentation.enabled", False),
        ("ROCKET_INSTRUMENTATION__ENABLED", "No", "instrumentation.enabled", False),
        ("ROCKET_INSTRUMENTATION__ENABLED", "1", "instrumentation.enabled", True),
        ("ROCKET_INSTRUMENTATION__SAMPLING_RATE", "1e-2", "instrumentation.sampling_rate", 0.01),
        ("ROCKET_INSTRUMENTATION__SAMPLING_RATE", "1", "instrumentation.sampling_rate", 1.0),
        ("ROCKET_STORAGE__S3__PATH_STYLE", "true", "storage.s3.path_style", True),
        ("ROCKET_STORAGE__S3", "{bucket: b}", "storage.s3.bucket", "b"),
        ("ROCKET_STORAGE", "{s3: {bucket: b}}", "storage.s3.bucket", "b"),
        ("ROCKET_SERVER__CORS_ORIGINS", "[a, b]", "server.cors_origins", ("a", "b")),
        ("ROCKET_SERVER__CORS_ORIGINS", "[]", "server.cors_origins", ()),
        ("ROCKET_PLUGINS__ENABLED", "all", "plugins.enabled", "all"),
        ("ROCKET_PLUGINS__ENABLED", "[rules]", "plugins.enabled", ("rules",)),
    ],
)
def test_a_variable_takes_the_type_of_its_key(load, variable, text, key, value):
    found = value_of(load(environ={variable: text}), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "variable",
    [
        "ROCKET_PLATFORM_PASSWORD",
        "ROCKET_ADMIN_PASSWORD",
        "ROCKET_WEBHOOK_TOKEN",
        "ROCKET_TEST_POSTGRES",
        "ROCKET_NOWHERE__PORT",
        "ROCKET_SERVER_PORT",
        "ROCKET_",
        "rocket_server__port",
        "ROCKET_server__port",
        "SERVER__PORT",
        "XROCKET_SERVER__PORT",
    ],
)
def test_a_variable_that_names_no_section_is_ignored(load, variable):
    assert load(environ={variable: "x"}) == load()


def test_the_deeper_variable_wins(load):
    environ = {"ROCKET_STORAGE__S3__BUCKET": "deep", "ROCKET_STORAGE": "{driver: s3, s3: {bucket: flat, region: r}}"}
    storage = load("storage: {s3: {prefix: p}}", environ).storage
    assert (storage.driver, storage.s3.bucket, storage.s3.region, storage.s3.prefix) == ("s3", "deep", "r", "p")


def test_an_empty_variable_for_a_section_changes_nothing(load):
    config = load("storage: {driver: s3}", {"ROCKET_STORAGE": "", "ROCKET_LIMITS": ""})
    assert (config.storage.driver, config.limits.max_per_page) == ("s3", 200)


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("ROCKET_SERVER__PROT", "1", "unknown configuration key: server.prot (did you mean server.port?)"),
        ("ROCKET_SERVER__", "1", "unknown configuration key: server. (did you mean server."),
        ("ROCKET_SERVER__PORT", "", "wrong value for server.port: expected an integer, got text ''"),
        ("ROCKET_SERVER__PORT", "80.0", "wrong value for server.port: expected an integer, got text '80.0'"),
        ("ROCKET_SERVER__PORT", "1_0", "wrong value for server.port"),
        ("ROCKET_SERVER__PORT", "٣", "wrong value for server.port"),
        ("ROCKET_SERVER__PORT", "9" * 5000, "wrong value for server.port"),
        ("ROCKET_SERVER__PORT", "65536", "expected an integer from 0 to 65535, got text '65536'"),
        ("ROCKET_SERVER__PORT__X", "1", "wrong value for server.port: expected an integer, got an object"),
        ("ROCKET_SERVER", "80", "wrong value for server: expected an object, got text"),
        ("ROCKET_INSTRUMENTATION__ENABLED", "maybe", "expected true or false, got text 'maybe'"),
        ("ROCKET_INSTRUMENTATION__SAMPLING_RATE", "nan", "expected a number, got text 'nan'"),
        ("ROCKET_SERVER__CORS_ORIGINS", "a,b", "expected a list with each item text"),
        ("ROCKET_SERVER__CORS_ORIGINS", "[a", "wrong value for server.cors_origins: line 1: "),
        ("ROCKET_SERVER__SERVER", "nginx", "expected one of auto, granian, hypercorn, got text 'nginx'"),
        ("ROCKET_PLUGINS__ENABLED", "rules", "wrong value for plugins.enabled: expected all or a list"),
    ],
)
def test_a_wrong_variable_stops_the_start(load, variable, text, problem):
    with pytest.raises(ConfigError) as caught:
        load(environ={variable: text})
    assert str(caught.value).startswith("environment: ")
    assert problem in str(caught.value)


# The file


@pytest.mark.parametrize("text", ["", "# nothing\n", "server:\n", "plugins: {settings: {auth: }}", "---\n"])
def test_empty_sections_are_empty(load, text):
    assert load(text).server.port == 8080


def test_words_that_yaml_once_took_for_booleans_stay_words(load):
    config = load("database: {synchronous: off}\nstorage: {s3: {region: no}}")
    assert (config.database.synchronous, config.storage.s3.region) == ("off", "no")


def test_merge_keys_may_be_overridden(load):
    config = load("plugins: {settings: {a: &a {x: 1, y: 1}, b: {<<: *a, y: 2}}}")
    assert config.plugins.settings["b"] == {"x": 1, "y": 2}


def test_a_whole_number_will_do_where_a_number_is_expected(load):
    rate = load("instrumentation: {sampling_rate: 0}").instrumentation.sampling_rate
    assert (rate, type(rate)) == (0.0, float)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("server:\n  port: [1\n", "app.yaml:3", "expected ',' or ']'"),
        ("server:\n\tport: 1\n", "app.yaml:2", "cannot start any token"),
        ("- server\n", "app.yaml:1", "expected an object"),
        ("server", "app.yaml:1", "expected an object"),
        ("server: {}\nlimits: {}\nserver: {}\n", "app.yaml:3", "duplicate key 'server'"),
        ("server:\n  port: 1\n  port: 1\n", "app.yaml:3", "duplicate key 'port'"),
        ("server: {}\n---\nlimits: {}\n", "app.yaml:2", "another document"),
        ("server:\n  host: !!python/object:os.x {}\n", "app.yaml:2", "could not determine a constructor"),
        ("server:\n  host: !!bool maybe\n", "app.yaml", "malformed YAML"),
        ("server:\n  ? [a]\n  : 1\n", "app.yaml:2", "unhashable key"),
        ("server:\n  host: \x01\n", "app.yaml:2", "unacceptable character #x0001"),
        ("server: " + "[" * 5000, "app.yaml", "malformed YAML"),
    ],
)
def test_malformed_yaml_is_reported_with_file_and_line(load, text, place, problem):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert f"{place}: " in str(caught.value)
    assert problem in str(caught.value)


def test_a_file_that_is_not_utf_8_is_reported_with_its_line(tmp_path):
    (tmp_path / "app.yaml").write_bytes(b"server:\n  host: \xff\n")
    with pytest.raises(ConfigError, match=r"app\.yaml:2: not UTF-8"):
        load_config(environ={}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("server: {prot: 1}", "server.prot", "server.port"),
        ("databse: {driver: sqlite}", "databse", "database"),
        ("port: 8080", "port", "server.port"),
        ("max_file_size: 1", "max_file_size", "storage.max_file_size"),
        ("bucket: x", "bucket", "storage.s3.bucket"),
        ("storage: {s3: {buket: x}}", "storage.s3.buket", "storage.s3.bucket"),
        ("storage: {bucket: x}", "storage.bucket", "storage.s3.bucket"),
        ("server: {Port: 1}", "server.Port", "server.port"),
        ("8080: x", "8080", ""),
        ("qqq: x", "qqq", ""),
        ("server.port: 1", "server.port", ""),
        ("plugins: {rules: {}}", "plugins.rules", "plugins."),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(load, text, unknown, nearest):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert f"app.yaml: unknown configuration key: {unknown} (did you mean {nearest}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {port: '80'}", "server.port: expected an integer, got text '80'"),
        ("server: {port: true}", "server.port: expected an integer, got true"),
        ("server: {port: 80.0}", "server.port: expected an integer, got 80.0"),
        ("server: {port: null}", "server.port: expected an integer, got null"),
        ("server: {port: -1}", "server.port: expected an integer from 0 to 65535, got -1"),
        ("server: {port: 65536}", "server.port: expected an integer from 0 to 65535, got 65536"),
        ("server: {workers: 0}", "server.workers: expected an integer of at least 1, got 0"),
        ("server: {host: 5}", "server.host: expected text, got 5"),
        ("server: {host: ''}", "server.host: expected text that is not empty, got text ''"),
        ("server: {host: [a]}", "server.host: expected text, got a list"),
        ("server: {server: uvicorn}", "server.server: expected one of auto, granian, hypercorn, got text 'uvicorn'"),
        ("server: {cors_origins: a}", "server.cors_origins: expected a list"),
        ("server: {cors_origins: [a, 1]}", "server.cors_origins[1]: expected text, got 1"),
        ("server: {max_body_bytes: 0}", "server.max_body_bytes: expected an integer of at least 1"),
        ("server: [port]", "server: expected an object, got a list"),
        ("database: {driver: mysql}", "database.driver: expected one of sqlite, postgres, got text 'mysql'"),
        ("database: {synchronous: on}", "database.synchronous: expected one of off, normal, full, extra"),
        ("database: {synchronous: false}", "database.synchronous: expected one of off, normal, full, extra, got false"),
        ("database: {data_dir: ''}", "database.data_dir: expected a path, got text ''"),
        ("database: {port: 65536}", "database.port: expected an integer from 0 to 65535"),
        ("database: {pool_size: 0}", "database.pool_size: expected an integer of at least 1"),
        ("app_pool_size: 0", "app_pool_size: expected an integer of at least 1"),
        ("storage: {driver: gcs}", "storage.driver: expected one of local, s3"),
        ("storage: {s3: {path_style: 1}}", "storage.s3.path_style: expected true or false, got 1"),
        ("storage: {s3: {path_style: yes}}", "storage.s3.path_style: expected true or false, got text 'yes'"),
        ("limits: {max_per_page: 0}", "limits.max_per_page: expected an integer of at least 1"),
        ("limits: {include_depth: -4}", "limits.include_depth: expected an integer of at least 1"),
        ("limits: {nested_depth: 0}", "limits.nested_depth: expected an integer of at least 1"),
        ("limits: {nested_records: 0}", "limits.nested_records: expected an integer of at least 1"),
        ("instrumentation: {sampling_rate: 1.1}", "sampling_rate: expected a number from 0 to 1, got 1.1"),
        ("instrumentation: {sampling_rate: -0.1}", "sampling_rate: expected a number from 0 to 1, got -0.1"),
        ("instrumentation: {sampling_rate: .nan}", "sampling_rate: expected a number, got nan"),
        ("instrumentation: {sampling_rate: true}", "sampling_rate: expected a number, got true"),
        ("plugins: {enabled: rules}", "plugins.enabled: expected all or a list"),
        ("plugins: {enabled: [1]}", "plugins.enabled: expected all or a list"),
        ("plugins: {settings: {auth: 5}}", "plugins.settings.auth: expected an object, got a number"),
        ("plugins: {settings: {auth: {1: 5}}}", "wrong key 1 under plugins.settings.auth: keys are text"),
        ("plugins: {settings: []}", "plugins.settings: expected an object, got a list"),
        ("platform_jwt_secret: ''", "platform_jwt_secret: expected text that is not empty"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(load, text, problem):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert "app.yaml: wrong " in str(caught.value)
    assert problem in str(caught.value)


def test_a_wrong_value_is_refused_even_where_another_source_overrides_it(load):
    with pytest.raises(ConfigError, match=r"app\.yaml: wrong value for server\.port"):
        load("server: {port: x}", {"ROCKET_SERVER__PORT": "80"}, {"server.port": 81})


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"server.prot": 1}, "unknown configuration key: server.prot (did you mean server.port?)"),
        ({"server.port": "80"}, "wrong value for server.port: expected an integer, got text '80'"),
        ({"server.port": 70000}, "wrong value for server.port: expected an integer from 0 to 65535, got 70000"),
    ],
)
def test_a_wrong_override_stops_the_start(load, overrides, problem):
    with pytest.raises(ConfigError) as caught:
        load(overrides=overrides)
    assert str(caught.value) == f"command line: {problem}"


# Secrets


def test_secrets_are_not_in_the_text_of_a_configuration(load):
    config = load(
        """
        database: {password: hush-1}
        storage: {s3: {secret_key: hush-2}}
        platform_jwt_secret: hush-3
        plugins: {settings: {ai: {api_key: hush-4}}}
        """
    )
    assert config.database.password is not None
    assert config.database.password.reveal() == "hush-1"
    assert "hush" not in repr(config)
    assert "***" in repr(config)


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("database: {password: 271828}", {}),
        ("storage: {s3: {secret_key: [hush-271828]}}", {}),
        ("database: hush-271828", {}),
        ("plugins: {settings: {ai: hush-271828}}", {}),
        ("", {"ROCKET_STORAGE__S3": "hush-271828"}),
    ],
)
def test_secrets_are_not_in_the_text_of_an_error(load, text, environ):
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    assert "271828" not in str(caught.value)
