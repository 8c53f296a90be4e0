"""The relations of an entity that one caller may name: in includes, and in the bodies of writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rocket_kernel.metadata.hops import Hop, resolve_key, resolve_written_key
from rocket_kernel.metadata.relation import Relation
from rocket_kernel.openapi.operation import EntityView


def include_hops(view: EntityView) -> dict[str, Hop]:
    """Every key that an include may name, with the relation it means, where the caller may walk it."""
    name = view.entity.name
    relations = _sorted((*view.model.source_hops(name), *view.model.target_hops(name)))
    keys = _primary_keys(view, relations)
    found: dict[str, Hop] = {}
    for key in sorted(set(_candidates(relations, name))):
        hop = resolve_key(key, name, relations, keys)
        if hop is not None and view.caller.walks(hop):
            found[key] = hop
    return found


def nested_hops(view: EntityView) -> dict[str, Hop]:
    """Every key under which a body may hold records of an entity that the caller may write, or link."""
    name = view.entity.name
    relations = _sorted(view.model.source_hops(name))
    keys = _primary_keys(view, relations)
    found: dict[str, Hop] = {}
    for key in sorted(set(_candidates(relations, name)) - set(view.entity.fields)):
        hop = resolve_written_key(key, name, relations, keys)
        if hop is not None and _may_nest(view, hop):
            found[key] = hop
    return found


def _may_nest(view: EntityView, hop: Hop) -> bool:
    rights = view.caller.on(hop.target)
    writes = rights.creates or rights.updates or rights.deletes
    return writes or (rights.reads and hop.relation.many_to_many)


def _sorted(hops: Iterable[Hop]) -> list[Relation]:
    """By name, each once: a relation of an entity with itself has two ends there."""
    found = {hop.relation.name: hop.relation for hop in hops}
    return [found[name] for name in sorted(found)]


def _primary_keys(view: EntityView, relations: Iterable[Relation]) -> dict[str, str]:
    ends = {end for relation in relations for end in (relation.source, relation.target)}
    return {end: view.model.entities[end].primary_key.field for end in ends}


def _candidates(relations: Iterable[Relation], entity: str) -> Iterator[str]:
    """Whatever could be a key by one of the rules: see `resolve_key`."""
    for relation in relations:
        yield relation.name
        yield relation.target if relation.source == entity else relation.source
        if relation.name.startswith(f"{entity}_"):
            yield relation.name.removeprefix(f"{entity}_")
        if relation.target == entity and relation.target_key.endswith("_id"):
            yield relation.target_key.removesuffix("_id")
