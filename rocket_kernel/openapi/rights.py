"""What one caller may do in an app, as far as a description has to know it. Pure; needs no database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rocket_kernel.actor import Actor
from rocket_kernel.errors import Forbidden
from rocket_kernel.http.router import AccessClass
from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import CompiledEntity, Registry
from rocket_kernel.query.access import Access
from rocket_kernel.write.stages import CREATE, DELETE, UPDATE

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EntityRights:
    """`nameable` fields may stand in filters and the like; `sometimes` are others that some record may show."""

    reads: bool = False
    reads_all_rows: bool = False
    reads_all_fields: bool = False
    """Of each record."""
    nameable: frozenset[str] = _NONE
    sometimes: frozenset[str] = _NONE
    creates: bool = False
    updates: bool = False
    deletes: bool = False
    given_on_create: frozenset[str] = _NONE
    """Fields it may give values to."""
    given_on_update: frozenset[str] = _NONE

    @property
    def any(self) -> bool:
        return self.reads or self.creates or self.updates or self.deletes

    @property
    def shown(self) -> frozenset[str]:
        return self.nameable | self.sometimes


NO_RIGHTS = EntityRights()


@dataclass(frozen=True, slots=True)
class Rights:
    """Two callers with equal rights are told the same."""

    signed_in: bool
    admin: bool
    entities: tuple[tuple[str, EntityRights], ...] = ()
    """Those on which the caller may do anything, by name."""
    _by_name: dict[str, EntityRights] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", dict(self.entities))

    @property
    def names(self) -> frozenset[str]:
        """Of the entities that the caller may do anything to."""
        return frozenset(self._by_name)

    def on(self, entity: str) -> EntityRights:
        return self._by_name.get(entity, NO_RIGHTS)

    def passes(self, access: AccessClass) -> bool:
        """Whether the caller passes an access class of an app's routes; for PERMISSION, whether it may be asked."""
        match access:
            case AccessClass.PUBLIC:
                return True
            case AccessClass.AUTHENTICATED | AccessClass.PERMISSION:
                return self.signed_in
            case AccessClass.ADMIN:
                return self.admin
        return False

    def walks(self, hop: Hop) -> bool:
        """Whether an answer may depend on which rows a relation connects: see `Access.may_walk`."""
        return self.on(hop.target).reads and all(name in self.on(entity).nameable for entity, name in hop.named_fields)


def rights_of(registry: Registry, actor: Actor | None) -> Rights:
    """None is a caller who has not said who it is."""
    if actor is None:
        return Rights(signed_in=False, admin=False)
    return Rights(signed_in=True, admin=actor.is_admin, entities=tuple(_entities(registry, actor)))


def _entities(registry: Registry, actor: Actor) -> Iterator[tuple[str, EntityRights]]:
    access = Access(registry, actor)
    for name, compiled in registry.compiled.items():
        rights = _entity_rights(compiled, access)
        if rights.any:
            yield name, rights


def _entity_rights(compiled: CompiledEntity, access: Access) -> EntityRights:
    entity = compiled.entity
    fields, key = frozenset(entity.fields), frozenset({entity.primary_key.field})
    reads, all_rows, all_fields, nameable, sometimes = False, False, False, _NONE, _NONE
    try:
        grant = access.grant(entity.name)
        reads, all_rows, all_fields = True, grant.condition is None, grant.visible is None
        nameable = (fields - grant.unnameable) | key
        sometimes = (grant.sometimes & fields) - nameable
    except Forbidden:
        pass
    given = {action: _given(compiled, access.actor, action) for action in (CREATE, UPDATE, DELETE)}
    return EntityRights(
        reads=reads,
        reads_all_rows=all_rows,
        reads_all_fields=all_fields,
        nameable=nameable,
        sometimes=sometimes,
        creates=given[CREATE] is not None,
        updates=given[UPDATE] is not None,
        deletes=given[DELETE] is not None,
        given_on_create=given[CREATE] or _NONE,
        given_on_update=given[UPDATE] or _NONE,
    )


def _given(compiled: CompiledEntity, actor: Actor, action: str) -> frozenset[str] | None:
    """The fields a caller may give values to; None when it may not do so at all."""
    fields = frozenset(compiled.entity.fields)
    try:
        for policy in compiled.write_policies:
            allowed = policy.grant(actor, action).fields
            fields = fields if allowed is None else fields & allowed
    except Forbidden:
        return None
    return fields
