"""Values of sensitive fields in log answers: contract §11.6 and §16.6. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rocket_kernel import MASK, Model, masked_members, sensitive_names
from rocket_webhooks.outbox import Row
from rocket_webhooks.payload import json_text
from rocket_webhooks.tables import SHOWN

_RECORDS = ("record", "old")
_SHORTEST = 4
"""Shorter values stand in any text by chance."""


def shown_log(row: Row, model: Model) -> dict[str, Any]:
    """A row as answers show it."""
    shown = {name: row[name] for name in SHOWN}
    fields = _sensitive(row, model)
    if fields is None:
        # Its entity is gone, and with it the knowledge of what is sensitive.
        return shown | {name: MASK if row[name] else "" for name in ("request_body", "response_body")}
    fields |= frozenset(row["sensitive"] or ())
    if not fields:
        return shown
    shown["request_body"] = _masked_request(row["request_body"], fields)
    secrets = set(_texts(row["request_body"], fields))
    shown["response_body"] = _masked_response(row["response_body"], fields, secrets)
    return shown


def _sensitive(row: Row, model: Model) -> frozenset[str] | None:
    entity = model.entities.get(row["entity"])
    if entity is None:
        # An action may belong to no record at all.
        return None if row["entity"] else frozenset()
    return sensitive_names(entity)


def _masked_request(text: str, fields: frozenset[str]) -> str:
    body = _parsed(text)
    if not isinstance(body, dict):
        return text
    if "event" not in body or "record" not in body:
        return json_text(masked_members(body, fields))
    masked = dict(body)
    for name in _RECORDS:
        if isinstance(body.get(name), dict):
            masked[name] = _masked_record(body[name], fields)
    if isinstance(body.get("changes"), dict):
        masked["changes"] = {
            name: dict.fromkeys(change, MASK) if name in fields else change for name, change in body["changes"].items()
        }
    return json_text(masked)


def _masked_record(record: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: MASK if name in fields else value for name, value in record.items()}


def _masked_response(text: str, fields: frozenset[str], secrets: set[str]) -> str:
    """A receiver may send back what it was sent, in whatever form."""
    body = _parsed(text)
    if isinstance(body, (dict, list)):
        text = json_text(masked_members(body, fields))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _texts(text: str, fields: frozenset[str]) -> Iterator[str]:
    """The sensitive values of a body as they would stand in a text."""
    for value in _values(_parsed(text), fields):
        plain = value if isinstance(value, str) else json_text(value)
        encoded = json_text(value).strip('"')
        yield from (form for form in (plain, encoded) if len(form) >= _SHORTEST)


def _values(value: Any, fields: frozenset[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in fields:
                yield from _values(item, fields)
            elif isinstance(item, dict) and item and set(item) <= {"old", "new"}:
                yield from item.values()
            else:
                yield item
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, fields)


def _parsed(text: str) -> Any:
    """None for what is no JSON: a receiver's text may be anything, however deep."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
