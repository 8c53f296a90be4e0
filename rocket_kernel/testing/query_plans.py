"""How a database would find the rows of a list: whether an index that a plugin brings is of any use."""

from __future__ import annotations

from urllib.parse import parse_qsl

from rocket_kernel.actor import OPEN_HOUSE
from rocket_kernel.query.access import Access
from rocket_kernel.query.parse import ReadLimits, parse_list
from rocket_kernel.query.sql import QueryCompiler
from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.testing.running import RunningKernel


async def query_plan(running: RunningKernel, app: str, path: str) -> str:
    """The plan for a list such as `place?filter[location.near]=48.2,16.37,5km`, line by line, in the database's words.

    The database counts its rows before, so there must be enough of them for an index to be worth while: some thousands.
    Names of indexes are those of the kernel, `idx_{table}_{field}`. Raises what the list would.
    """
    context = await running.kernel.apps.app(app)
    async with context.writing() as (tx, registry):
        await tx.execute("ANALYZE")
        name, _, query_string = path.partition("?")
        entity = registry.entity(name).entity
        access = Access(registry, OPEN_HOUSE)
        query = parse_list(dict(parse_qsl(query_string)), entity, registry.model, access, ReadLimits())
        builder = SqlBuilder(tx.dialect)
        compiler = QueryCompiler(registry, builder, access)
        alias, shape = compiler.alias(), compiler.shape(name)
        builder.add(f"SELECT {shape.select_list(alias)} FROM {shape.table} AS {alias}")  # noqa: S608  # a compiled shape
        compiler.visible(name, alias, query.where)
        compiler.order_by(name, alias, query.sort)
        builder.add(f" LIMIT {query.per_page}")
        rows = await tx.fetch(tx.dialect.explained(builder.text()), builder.params)
    return "\n".join(str(row[-1]) for row in rows)
