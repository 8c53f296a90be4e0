"""What a write changes in the trail, in the writer's transaction: both commit or neither does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from rocket_kernel import Transaction, Write
from rocket_slugtrail.trail import forget_record, forget_slug, keep_slug


def keeping(field: str, most: int) -> Callable[[Write], Awaitable[None]]:
    """The step of an entity whose slugs are in `field`."""

    async def keep(write: Write) -> None:
        old, new = (write.old or {}).get(field), write.record.get(field)
        if old == new:
            return
        tx = cast("Transaction", write.run.session)
        if old:
            await keep_slug(tx, write.entity, field, write.key, old, now=write.run.now, most=most)
        if new:
            await forget_slug(tx, write.entity, field, write.key, new)

    return keep


async def forget(write: Write) -> None:
    await forget_record(cast("Transaction", write.run.session), write.entity, write.key)
