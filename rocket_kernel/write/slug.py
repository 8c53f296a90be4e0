"""Slugs: contract §4.5."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Iterator
from string import ascii_lowercase, digits

from rocket_kernel.metadata.entity import Slug
from rocket_kernel.metadata.field import text_form
from rocket_kernel.query.access import FullAccess
from rocket_kernel.query.filters import Compare
from rocket_kernel.query.records import fetch_records
from rocket_kernel.write.context import Write, differs
from rocket_kernel.write.convert import MAX_INDEXED_BYTES
from rocket_kernel.write.stages import CREATE

_KEPT = frozenset(ascii_lowercase + digits)
_ALPHABET = ascii_lowercase + digits
_COUNTED = 100
_COUNTED_LOSSES = 6
"""Lost races after which a random suffix ends the contest; a pool's writers rarely lose more."""

_LONGEST = MAX_INDEXED_BYTES - 8


def slugify(text: str) -> str:
    """Lower-case, accents dropped, every run of other characters a hyphen; "" when nothing is left."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    plain = (character for character in decomposed if not "\u0300" <= character <= "\u036f")
    spaced = "".join(character if character in _KEPT else " " for character in plain)
    return "-".join(spaced.split())[:_LONGEST].rstrip("-")


def random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def candidates(base: str) -> Iterator[str]:
    """The base, then `-2` … `-100`, then random suffixes without end."""
    yield base
    for number in range(2, _COUNTED + 1):
        yield f"{base}-{number}"
    while True:
        yield f"{base}-{random_text(6)}"


async def fill_slug(write: Write) -> None:
    """Give the record a slug that no live row and no other record of the request has, if it is to get one."""
    slug = write.entity.slug
    if slug is not None and slug.source is not None and _is_due(write, slug, slug.source):
        write.record[slug.field] = await _free_slug(write, slug, slug.source)
        write.assigned.add(slug.field)
    if slug is not None and write.record.get(slug.field) is not None:
        write.run.taken_slugs.add((write.entity.name, write.record[slug.field]))


def _is_due(write: Write, slug: Slug, source: str) -> bool:
    brought = slug.field in write.supplied and write.record.get(slug.field) not in (None, "")
    if brought:
        return False
    if write.action == CREATE:
        return True
    old = write.old or {}
    return (
        slug.regenerate_on_update
        and source in write.supplied
        and differs(write.entity, source, old[source], write.record[source])
    )


async def _free_slug(write: Write, slug: Slug, source: str) -> str:
    base = _base(write, source)
    field = write.entity.fields[slug.field]
    ordered = candidates(base)
    counted = [next(ordered) for _ in range(_COUNTED)]
    where = Compare(field, "in", tuple(counted))
    rows = await fetch_records(write.run.session, write.run.registry, write.entity.name, FullAccess(), where=where)
    key = write.entity.primary_key.field
    taken = {row[slug.field] for row in rows if write.old is None or row[key] != write.old[key]}
    for candidate in (*counted, *(next(ordered) for _ in range(3))):
        if candidate not in taken and (write.entity.name, candidate) not in write.run.taken_slugs:
            return candidate
    return f"{base}-{random_text(12)}"


def _base(write: Write, source: str) -> str:
    value = write.record.get(source)
    return (slugify(text_form(value)) if value is not None else "") or random_text(8)


async def next_slug(write: Write, *, losses: int) -> str:
    """The next candidate after the database refused the current one: other writers were faster, `losses` times."""
    slug = write.entity.slug
    if slug is None or slug.source is None:
        raise ValueError(f"{write.entity.name} has no slug to fill")
    write.run.taken_slugs.add((write.entity.name, write.record[slug.field]))
    if losses < _COUNTED_LOSSES:
        return await _free_slug(write, slug, slug.source)
    return f"{_base(write, slug.source)}-{random_text(6)}"
