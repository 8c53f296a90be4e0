"""`related.<key>`: rows loaded when an expression first asks for them, contract §6.4.

An expression is pure, so it is evaluated, stops at the first relation that is not there, and is evaluated again once
the rows have been fetched: one query a relation, and none for a relation that is not reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.errors import Detail, InvalidPayload, ValidationFailed
from rocket_kernel.expressions.errors import ExpressionError
from rocket_kernel.expressions.expression import Expression
from rocket_kernel.expressions.values import RecordMap
from rocket_kernel.json_text import JsonFloat
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.model import Model
from rocket_kernel.query.filters import Filter
from rocket_kernel.query.parse import parse_filters

MAX_RELATED = 1000

Load = Callable[[str], Awaitable[Any]]


class RelatedNeeded(Exception):
    """An expression has asked for a relation that is not loaded yet."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class RelatedMap(Mapping[str, Any]):
    """What is loaded so far; asking for anything else stops the evaluation."""

    __slots__ = ("loaded",)

    def __init__(self) -> None:
        self.loaded: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self.loaded:
            raise RelatedNeeded(key)
        found = self.loaded[key]
        return default if found is None else found

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __contains__(self, key: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.loaded)

    def __len__(self) -> int:
        return len(self.loaded)


@dataclass(frozen=True, slots=True, eq=False)
class RelatedLoad:
    """Rows behind a key of `related`, narrowed by a filter where there is one."""

    key: str
    where: Filter | None = None


async def evaluate_loading(expression: Expression, values: dict[str, Any], load: Load) -> Any:
    """The value of an expression whose relations are loaded by `load`. Raises ExpressionError."""
    if "related" not in expression.names:
        return expression.evaluate(values)
    related = values["related"] = RelatedMap()
    while True:
        try:
            return expression.evaluate(values)
        except RelatedNeeded as needed:
            related.loaded[needed.key] = await load(needed.key)


def related_values(key: str, hop: Hop, target: Entity, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows of a relation: a list for to-many, a record or null for to-one. Raises ExpressionError for too many."""
    if len(rows) > MAX_RELATED:
        raise ExpressionError(f"related.{key} has more than {MAX_RELATED} records")
    records = [RecordMap(target, row) for row in rows]
    if hop.many:
        return records
    return records[0] if records else None


def parse_related_load(body: Any, entity: Entity, model: Model) -> tuple[RelatedLoad, ...]:
    """`related_load` of a definition: `[{"relation", "filter"?}]`, a filter in the key syntax of contract §3.2.

    Raises ValidationFailed, with the path inside `related_load` as the field of its detail.
    """
    if body is None:
        return ()
    if not isinstance(body, list):
        raise _refused("related_load must be an array", "")
    return tuple([_parse_load(item, position, entity, model) for position, item in enumerate(body)])


def _parse_load(item: Any, position: int, entity: Entity, model: Model) -> RelatedLoad:
    at = f"[{position}]"
    key = item.get("relation") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(key, str) or not key:
        raise _refused("relation is required", f"{at}.relation")
    hop = model.hop(entity.name, key)
    if hop is None:
        raise _refused(f"unknown relation: {key}", f"{at}.relation")
    given = item.get("filter")
    if given is None:
        return RelatedLoad(key)
    if not isinstance(given, Mapping):
        raise _refused("filter must be an object", f"{at}.filter")
    try:
        keys = {name: _filter_text(name, value) for name, value in given.items()}
        return RelatedLoad(key, parse_filters(keys, model.entities[hop.target], model, None))
    except InvalidPayload as error:
        raise _refused(error.message, f"{at}.filter") from error


def _filter_text(name: str, value: Any) -> str:
    """A value of a filter as a URL would have it; the elements of an array stand between commas."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case JsonFloat():
            return value.text
        case int() | float():
            return json_text.encode(value).decode()
        case list() if value and not any(isinstance(item, (list, dict, type(None))) for item in value):
            return ",".join([_filter_text(name, item) for item in value])
    raise InvalidPayload(f"Invalid filter value for {name}: {json_text.encode(value).decode()}")


def _refused(message: str, at: str) -> ValidationFailed:
    return ValidationFailed(message, details=[Detail(message, field=at or None)])
