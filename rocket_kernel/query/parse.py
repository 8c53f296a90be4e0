"""URL parameters -> query values, checked against metadata and the caller's read grants. Touches no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rocket_kernel.errors import InvalidPayload, UnknownField
from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.model import Model
from rocket_kernel.query.access import Access
from rocket_kernel.query.filters import OPERATORS, AllOf, Filter, Related, parse_condition
from rocket_kernel.query.parameters import MAX_PAGE, filter_keys, names, parse_count
from rocket_kernel.query.values import DEFAULT_PER_PAGE, Include, ListQuery, Projection, SortKey
from rocket_kernel.store.formulas import Term

_EVERYTHING = Projection()
MAX_FILTERS = 50
MAX_SORT_KEYS = 10
MAX_INCLUDES = 20
MAX_HOPS = 4


@dataclass(frozen=True, slots=True)
class ReadLimits:
    per_page: int = 200
    include_depth: int = 4


def parse_list(
    parameters: Mapping[str, str], entity: Entity, model: Model, access: Access, limits: ReadLimits
) -> ListQuery:
    """Raises InvalidPayload, UnknownField or Forbidden; the entity's own gate is the caller's to check first."""
    filters = filter_keys(parameters)
    where = parse_filters(filters, entity, model, access)
    sort = _parse_sort(parameters.get("sort"), entity, model, access, filters)
    return ListQuery(
        page=parse_count(parameters.get("page"), default=1, maximum=MAX_PAGE),
        per_page=parse_count(parameters.get("per_page"), default=DEFAULT_PER_PAGE, maximum=limits.per_page),
        where=where,
        sort=sort,
        projection=parse_projection(parameters, entity, model, access, limits),
    )


def parse_projection(
    parameters: Mapping[str, str], entity: Entity, model: Model, access: Access, limits: ReadLimits
) -> Projection:
    if "include" not in parameters and "fields" not in parameters:
        return _EVERYTHING
    includes = parse_includes(parameters.get("include"), entity, model, access, limits)
    return Projection(includes, _parse_fields(parameters.get("fields"), entity, access))


@dataclass(slots=True)
class _PathNode:
    """Filters that share a relation path meet in one node, so that one related row must satisfy them all."""

    conditions: list[Filter] = field(default_factory=list)
    related: dict[str, tuple[Hop, _PathNode]] = field(default_factory=dict)

    def filter(self) -> Filter:
        parts = [*self.conditions, *(Related(hop, node.filter()) for hop, node in self.related.values())]
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def parse_filters(keys: Mapping[str, str], entity: Entity, model: Model, access: Access | None) -> Filter | None:
    """Filters in the key syntax of contract §3.2 -> one filter; None when there are none.

    Without `access` no permission is asked: that is for the engine's own queries.
    """
    if len(keys) > MAX_FILTERS:
        raise InvalidPayload(f"Too many filters (max {MAX_FILTERS})")
    root = _PathNode()
    for key, text in keys.items():
        node, found, operator, owner = _walk(root, key, entity, model, access)
        if access is not None:
            access.require_nameable(owner.name, found.name)
        node.conditions.append(parse_condition(found, operator, text))
    return root.filter() if keys else None


def _walk(
    root: _PathNode, key: str, entity: Entity, model: Model, access: Access | None
) -> tuple[_PathNode, Field, str, Entity]:
    node, at = root, entity
    segments = key.split(".")
    for position, segment in enumerate(segments):
        rest = segments[position + 1 :]
        if segment in at.fields and (not rest or (len(rest) == 1 and _is_operator(rest[0], at.fields[segment]))):
            return node, at.fields[segment], rest[0] if rest else "eq", at
        hop = model.hop(at.name, segment)
        if hop is None:
            if segment in at.fields and len(rest) == 1:
                raise InvalidPayload(f"Unknown filter operator: {rest[0]}")
            break
        if position >= MAX_HOPS:
            raise InvalidPayload(f"Filter path too long: {key} (max {MAX_HOPS} relations)")
        if access is not None:
            access.require_walk(hop)
        _, node = node.related.setdefault(segment, (hop, _PathNode()))
        at = model.entities[hop.target]
    raise UnknownField(f"Unknown filter field: {key}")


def _is_operator(name: str, of: Field) -> bool:
    return name in OPERATORS or name in of.type.own_operators


def _parse_sort(
    text: str | None, entity: Entity, model: Model, access: Access, filters: Mapping[str, str]
) -> tuple[SortKey, ...]:
    keys = names(text)
    if len(keys) > MAX_SORT_KEYS:
        raise InvalidPayload(f"Too many sort keys (max {MAX_SORT_KEYS})")
    return tuple(_parse_sort_key(key, entity, model, access, filters) for key in keys)


def _parse_sort_key(key: str, entity: Entity, model: Model, access: Access, filters: Mapping[str, str]) -> SortKey:
    """`filters` are those of the same request: an operator that orders rows takes its value from there."""
    descending = key.startswith("-")
    path = key.removeprefix("-").strip()
    *walked, last = [segment.strip() for segment in path.split(".")]
    unknown = UnknownField(f"Unknown sort field: {path}")
    if len(walked) > MAX_HOPS:
        raise InvalidPayload(f"Sort path too long: {path} (max {MAX_HOPS} relations)")
    at, hops = entity, list[Hop]()
    for position, segment in enumerate(walked):
        term = _ordering(at.fields.get(segment), last, filters.get(path)) if position == len(walked) - 1 else None
        if term is not None:
            access.require_nameable(at.name, segment)
            return SortKey(tuple(hops), at.fields[segment], descending, term)
        hop = model.hop(at.name, segment)
        if hop is None or hop.many:
            raise unknown
        access.require_walk(hop)
        hops.append(hop)
        at = model.entities[hop.target]
    found = at.fields.get(last)
    if found is None or not found.type.sortable:
        raise unknown
    access.require_nameable(at.name, last)
    return SortKey(tuple(hops), found, descending)


def _ordering(field: Field | None, operator: str, text: str | None) -> Term | None:
    """What rows are ordered by, for an operator of a field's type with the text of its filter; None is nothing."""
    own = None if field is None else field.type.own_operators.get(operator)
    return None if own is None or own.order is None or text is None else own.order(text)


def parse_includes(
    text: str | None, entity: Entity, model: Model, access: Access, limits: ReadLimits
) -> Mapping[str, Include]:
    paths = names(text)
    if len(paths) > MAX_INCLUDES:
        raise InvalidPayload(f"Too many includes (max {MAX_INCLUDES})")
    tree: dict[str, _IncludeNode] = {}
    for path in paths:
        segments = [segment.strip() for segment in path.split(".")]
        if len(segments) > limits.include_depth:
            raise InvalidPayload(f"Include path too long: {path} (max {limits.include_depth} relations)")
        level, at = tree, entity
        for segment in segments:
            hop = model.hop(at.name, segment)
            if hop is None:
                raise UnknownField(f"Unknown include: {segment}")
            access.require_walk(hop)
            level = level.setdefault(segment, _IncludeNode(hop)).children
            at = model.entities[hop.target]
    return MappingProxyType(dict(_frozen(tree)))


@dataclass(slots=True)
class _IncludeNode:
    hop: Hop
    children: dict[str, _IncludeNode] = field(default_factory=dict)


def _frozen(tree: Mapping[str, _IncludeNode]) -> Iterator[tuple[str, Include]]:
    for key, node in tree.items():
        yield key, Include(node.hop, MappingProxyType(dict(_frozen(node.children))))


def _parse_fields(text: str | None, entity: Entity, access: Access) -> frozenset[str] | None:
    wanted = names(text)
    if not wanted:
        return None
    for name in wanted:
        if name not in entity.fields:
            raise UnknownField(f"Unknown field: {name}")
        access.require_nameable(entity.name, name)
    return frozenset({*wanted, entity.primary_key.field})
