"""The value of a relation key in a body -> mode and items: contract §5.4. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel.errors import Detail
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.relation import WRITE_MODES

MODE_KEY = "_write_mode"
DELETE_KEY = "_delete"


@dataclass(frozen=True, slots=True)
class NestedPayload:
    mode: str
    items: Sequence[Any]


def parse_payload(value: Any, hop: Hop, path: str) -> NestedPayload | Detail | None:
    """None when the value has none of the forms, which makes its key unknown; a Detail when the mode is wrong."""
    single = hop.relation.type == "one_to_one"
    mode: Any = None
    items: Any = value
    if isinstance(value, Mapping) and (MODE_KEY in value or isinstance(value.get("data"), list)):
        mode, items = value.get(MODE_KEY), value.get("data")
    if isinstance(items, Mapping) and single:
        items = [items]
    if not isinstance(items, list):
        return None
    if mode is None:
        mode = hop.relation.write_mode
    if mode not in WRITE_MODES:
        return Detail(f"{MODE_KEY} must be one of: {', '.join(WRITE_MODES)}", field=f"{path}.{MODE_KEY}", rule="enum")
    return NestedPayload(str(mode), items)


def asks_deletion(item: Mapping[str, Any]) -> bool:
    return item.get(DELETE_KEY) is True


def given_key(item: Mapping[str, Any], *names: str) -> Any:
    """The first of the names that holds a key; null and "" are no key."""
    for name in names:
        value = item.get(name)
        if value is not None and value != "":
            return value
    return None
