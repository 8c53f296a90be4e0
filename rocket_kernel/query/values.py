"""A read request as a value: what was asked, resolved against the metadata, before any SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.query.filters import Filter
from rocket_kernel.store.formulas import Term

DEFAULT_PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class SortKey:
    """A field of the entity, or of the one related row reached through `hops`."""

    hops: tuple[Hop, ...]
    field: Field
    descending: bool
    term: Term | None = None
    """By what of the field's value, for an operator of its type; None sorts by the value itself."""


@dataclass(frozen=True, slots=True)
class Include:
    hop: Hop
    children: Mapping[str, Include] = field(default_factory=dict)
    """By key as written, in the order of the request."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What one record shows: `fields` None is all of them."""

    includes: Mapping[str, Include] = field(default_factory=dict)
    fields: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    page: int = 1
    per_page: int = DEFAULT_PER_PAGE
    where: Filter | None = None
    sort: tuple[SortKey, ...] = ()
    projection: Projection = Projection()
