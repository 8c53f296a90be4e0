"""A webhook as it is defined: contract §11.1. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_kernel import Detail, Model, ValidationFailed
from rocket_webhooks.client import parse_url
from rocket_webhooks.condition import check_condition
from rocket_webhooks.headers import check_headers
from rocket_webhooks.retry import MOST_ATTEMPTS

AFTER_WRITE = "after_write"
BEFORE_WRITE = "before_write"
AFTER_DELETE = "after_delete"
BEFORE_DELETE = "before_delete"
HOOKS = (AFTER_WRITE, BEFORE_WRITE, AFTER_DELETE, BEFORE_DELETE)
BEFORE_HOOKS = frozenset({BEFORE_WRITE, BEFORE_DELETE})
METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
BACKOFFS = ("exponential", "linear")
ORDERS = ("none", "record")
LONGEST_URL = 2048
DEFAULT_RETRY: Mapping[str, Any] = {"max_attempts": 3, "backoff": "exponential"}


@dataclass(frozen=True, slots=True)
class Webhook:
    entity: str
    hook: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""
    is_async: bool = True
    retry: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_RETRY))
    order: str = "none"
    active: bool = True

    @property
    def is_before(self) -> bool:
        return self.hook in BEFORE_HOOKS

    @property
    def max_attempts(self) -> int:
        return int(self.retry["max_attempts"])


def parse_webhook(body: Mapping[str, Any], model: Model, env_prefix: str) -> Webhook:
    """Raises ValidationFailed with the text of the first check that fails, in the contract's order."""
    entity = body.get("entity")
    if not isinstance(entity, str) or not entity:
        raise _refused("entity is required", "entity")
    hook = _default(body, "hook", AFTER_WRITE)
    if hook not in HOOKS:
        raise _refused("hook must be after_write, before_write, after_delete, or before_delete", "hook")
    url, method = check_target(body)
    if entity not in model.entities:
        raise _refused(f"entity not found: {entity}", "entity")
    is_async = _default(body, "async", hook not in BEFORE_HOOKS)
    if not isinstance(is_async, bool):
        raise _refused("async must be true or false", "async")
    if is_async and hook in BEFORE_HOOKS:
        raise _refused("before_write and before_delete webhooks cannot be async", "async")
    headers = check_headers(body.get("headers"), env_prefix)
    condition = _default(body, "condition", "")
    check_condition(condition, model.entities[entity], model)
    retry = check_retry(body.get("retry"))
    order = _default(body, "order", "none")
    if order not in ORDERS:
        raise _refused("order must be none or record", "order")
    active = _default(body, "active", True)
    if not isinstance(active, bool):
        raise _refused("active must be true or false", "active")
    return Webhook(entity, hook, url, method, headers, condition, is_async, retry, order, active)


def load_webhook(body: Mapping[str, Any], _model: Model) -> Webhook:
    """Of a stored row: it was checked when it was stored, and settings and entities may have changed since."""
    return Webhook(
        entity=body["entity"],
        hook=body["hook"],
        url=body["url"],
        method=body["method"],
        headers=body["headers"],
        condition=body["condition"],
        is_async=body["async"],
        retry={**DEFAULT_RETRY, **body["retry"]},
        order=body["order"],
        active=body["active"],
    )


def check_target(body: Mapping[str, Any]) -> tuple[str, str]:
    """URL and method of a webhook or of an action. Raises ValidationFailed."""
    url = body.get("url")
    if not isinstance(url, str) or not url:
        raise _refused("url is required", "url")
    if not url.lower().startswith(("http://", "https://")):
        raise _refused("url must start with http:// or https://", "url")
    if len(url) > LONGEST_URL:
        raise _refused(f"url must be at most {LONGEST_URL} characters", "url")
    try:
        parsed = parse_url(url)
    except ValueError:
        raise _refused("invalid url", "url") from None
    if parsed.userinfo:
        raise _refused("url must not contain user info", "url")
    method = _default(body, "method", "POST")
    if method not in METHODS:
        raise _refused("method must be POST, PUT, PATCH, GET, or DELETE", "method")
    return url, method


def check_retry(given: Any) -> dict[str, Any]:
    """Completed with the defaults, key by key. Raises ValidationFailed."""
    if given is None:
        return dict(DEFAULT_RETRY)
    if not isinstance(given, Mapping):
        raise _refused("retry must be an object", "retry")
    retry = {**DEFAULT_RETRY, **{name: value for name, value in given.items() if value is not None}}
    most = retry["max_attempts"]
    if type(most) is not int or not 1 <= most <= MOST_ATTEMPTS:
        raise _refused(f"retry.max_attempts must be an integer from 1 to {MOST_ATTEMPTS}", "retry.max_attempts")
    if retry["backoff"] not in BACKOFFS:
        raise _refused("retry.backoff must be exponential or linear", "retry.backoff")
    return retry


def _default(body: Mapping[str, Any], name: str, default: Any) -> Any:
    value = body.get(name)
    return default if value is None else value


def _refused(message: str, path: str) -> ValidationFailed:
    return ValidationFailed(message, details=[Detail(message, field=path)])
