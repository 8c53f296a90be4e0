from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from rocket_kernel.config import load_config, parse_settings
from rocket_kernel.errors import ConfigError
from rocket_kernel.secret import Secret
from rocket_kernel.setting_types import EnvironmentText


@dataclass(frozen=True, slots=True)
class Retry:
    attempts: int = 3


@dataclass(frozen=True, slots=True)
class Settings:
    url: str
    timeout_s: float = 30.0
    strict: bool = False
    allow: list[str] | None = None
    networks: tuple[str, ...] = ()
    headers: dict[str, str] | None = None
    mode: Literal["fast", "safe", 1] = "safe"
    token: Secret | None = None
    retry: Retry = Retry()
    anything: object = None


def test_settings_are_built_with_their_types():
    values = {
        "url": "u",
        "timeout_s": 5,
        "allow": ["a"],
        "networks": ["10.0.0.0/8"],
        "headers": {"A": "b"},
        "mode": 1,
        "token": "t",
        "retry": {"attempts": 4},
        "anything": [1],
    }
    assert parse_settings(Settings, values, where="plugins.settings.web") == Settings(
        url="u",
        timeout_s=5.0,
        allow=["a"],
        networks=("10.0.0.0/8",),
        headers={"A": "b"},
        mode=1,
        token=Secret("t"),
        retry=Retry(attempts=4),
        anything=[1],
    )


def test_settings_from_the_environment_take_their_types(tmp_path):
    prefix = "ROCKET_PLUGINS__SETTINGS__WEB"
    environ = {
        f"{prefix}__URL": "12",
        f"{prefix}__TIMEOUT_S": "5",
        f"{prefix}__STRICT": "true",
        f"{prefix}__ALLOW": "[a]",
        f"{prefix}__HEADERS": "{A: b}",
        f"{prefix}__MODE": "1",
        f"{prefix}__RETRY__ATTEMPTS": "4",
    }
    config = load_config(environ=environ, cwd=tmp_path)
    settings = parse_settings(Settings, config.plugins.settings["web"], where="plugins.settings.web")
    assert settings == Settings(
        url="12", timeout_s=5.0, strict=True, allow=["a"], headers={"A": "b"}, mode=1, retry=Retry(attempts=4)
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "missing configuration key: plugins.settings.web.url"),
        ({"ulr": "u"}, "unknown configuration key: plugins.settings.web.ulr (did you mean plugins.settings.web.url?)"),
        ({"url": "u", "attempts": 1}, "(did you mean plugins.settings.web.retry.attempts?)"),
        ({"url": None}, "wrong value for plugins.settings.web.url: expected text, got null"),
        ({"url": "u", "timeout_s": "5"}, "timeout_s: expected a number, got text '5'"),
        ({"url": "u", "timeout_s": True}, "timeout_s: expected a number, got true"),
        ({"url": "u", "strict": 1}, "strict: expected true or false, got 1"),
        ({"url": "u", "allow": [1]}, "allow[0]: expected text, got 1"),
        ({"url": "u", "networks": "10.0.0.0/8"}, "networks: expected a list with each item text"),
        ({"url": "u", "headers": {"A": 1}}, "headers.A: expected text, got 1"),
        ({"url": "u", "mode": True}, "mode: expected one of fast, safe, 1, got true"),
        ({"url": "u", "token": 5}, "token: expected text, got a number"),
        ({"url": "u", "retry": {"attempt": 1}}, "(did you mean plugins.settings.web.retry.attempts?)"),
        ({"url": "u", "allow": EnvironmentText("{")}, "plugins.settings.web.allow: line 1"),
    ],
)
def test_wrong_settings_are_refused(values, problem):
    with pytest.raises(ConfigError) as caught:
        parse_settings(Settings, values, where="plugins.settings.web")
    assert problem in str(caught.value)


@dataclass(frozen=True, slots=True)
class Odd:
    pair: tuple[int, int] = (0, 0)
    raw: bytes = b""


@pytest.mark.parametrize("values", [{"pair": [1, 2]}, {"raw": "x"}])
def test_a_type_that_is_none_for_settings_is_the_authors_error(values):
    with pytest.raises(TypeError, match="not a type for a setting"):
        parse_settings(Odd, values, where="odd")


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


def test_a_section_without_keys_has_no_nearest_one():
    with pytest.raises(ConfigError, match=r"key: plugins\.settings\.bare\.x \(plugins\.settings\.bare has no keys\)"):
        parse_settings(Nothing, {"x": 1}, where="plugins.settings.bare")


def test_a_model_must_be_a_dataclass():
    with pytest.raises(TypeError, match="not a dataclass"):
        parse_settings(int, {}, where="odd")


def test_a_secret_prints_as_stars():
    secret = Secret("hush")
    assert f"{secret} {secret!r} {secret!s}" == "*** *** ***"
    assert secret.reveal() == "hush"


def test_secrets_compare_by_their_text():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\udcff") == Secret("\udcff")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
