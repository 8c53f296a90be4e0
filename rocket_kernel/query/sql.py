"""Query values -> SQL. Every name comes from metadata, every value is a parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rocket_kernel.metadata.hops import Hop
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.query.access import RowScope
from rocket_kernel.query.filters import AllOf, AnyOf, Compare, Filter, Related
from rocket_kernel.query.formula import add_term, add_truth
from rocket_kernel.query.scaled import scaled_bound
from rocket_kernel.query.shape import Shape
from rocket_kernel.query.values import SortKey
from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.store.formulas import Truth, is_true

_SYMBOLS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXT_OPERATORS = frozenset({"like", "ilike", "contains", "starts_with", "ends_with"})


@dataclass(slots=True)
class QueryCompiler:
    """Appends the pieces of one statement to a builder. `scope` says which rows exist for the caller."""

    registry: Registry
    builder: SqlBuilder
    scope: RowScope
    _aliases: int = field(default=0)

    def alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def shape(self, entity: str) -> Shape:
        return self.registry.entity(entity).shape

    def visible(self, entity: str, alias: str, *extra: Filter | None, prefix: str = " WHERE ") -> None:
        """Append the conditions of rows that are live, satisfy `extra` and are shown to the caller.

        In this order: one of the databases tries them as they stand, and what is asked for leaves fewer rows than what
        may be seen.
        """
        shape = self.shape(entity)
        live = shape.live(alias)
        own = self.scope.condition(entity)
        pieces: list[Callable[[], None]] = []
        if live:
            pieces.append(lambda: self._add(live))
        pieces.extend(self._piece(condition, shape, alias) for condition in extra if condition is not None)
        if own is not None:
            pieces.append(lambda: self._scoped(own, shape, alias))
        self._joined(pieces, prefix=prefix)

    def _scoped(self, condition: Filter, shape: Shape, alias: str) -> None:
        """A row condition of the caller. Placeholders are numbered, so its text depends on how many there are."""
        builder = self.builder
        start, aliases = len(builder.params), self._aliases
        place = (alias, start)
        known = shape.known(place, condition)
        if known is not None:
            builder.params.extend(known.params)
            self._add(known.text)
            return
        self.builder = SqlBuilder(builder.dialect)
        self.builder.params = builder.params
        self.condition(condition, shape, alias)
        text = self.builder.text()
        self.builder = builder
        self._add(text)
        if self._aliases == aliases:  # otherwise it holds names of tables that are counted through the statement
            shape.remember(place, condition, text, builder.params[start:])

    def order_by(self, entity: str, alias: str, sort: Sequence[SortKey] = ()) -> None:
        """Append ORDER BY with the primary key as the last term."""
        shape = self.shape(entity)
        key = shape.entity.primary_key.field
        self._add(" ORDER BY ")
        for sort_key in sort:
            self._order_term(shape, alias, sort_key)
            self._add(", ")
        self._add(shape.dialect.order_term(shape.comparable(alias, key), descending=False, nullable=False))

    def join_related(self, hop: Hop, origin_alias: str | None, alias: str) -> str:
        """Append `FROM …` of a hop's other end and return the expression of the side that meets the origin.

        With `origin_alias` the caller compares it with the origin's column; without, with a list of keys.
        """
        target = self.shape(hop.target)
        self._add(f" FROM {target.table} AS {alias}")
        if not hop.relation.many_to_many:
            return target.comparable(alias, hop.other_field)
        join = self.alias()
        quote = target.dialect.quote
        self._add(f" JOIN {quote(hop.relation.join_table)} AS {join} ON {join}.{quote(hop.join_other)} = ")
        self._add(target.column(alias, hop.other_field))
        return target.dialect.comparable(f"{join}.{quote(hop.join_own)}", self.shape(hop.origin).type(hop.own_field))

    def condition(self, filter: Filter, shape: Shape, alias: str) -> None:
        match filter:
            case AllOf(parts):
                self._group(parts, " AND ", "1 = 1", shape, alias)
            case AnyOf(parts):
                self._group(parts, " OR ", "1 = 0", shape, alias)
            case Related(hop, where):
                self._exists(hop, where, shape, alias)
            case Compare():
                self._compare(filter, shape, alias)

    def _piece(self, condition: Filter, shape: Shape, alias: str) -> Callable[[], None]:
        return lambda: self.condition(condition, shape, alias)

    def _add(self, text: str) -> None:
        self.builder.add(text)

    def _joined(self, pieces: Sequence[Callable[[], None]], *, prefix: str) -> None:
        for position, piece in enumerate(pieces):
            self._add(prefix if position == 0 else " AND ")
            piece()

    def _group(self, parts: Sequence[Filter], glue: str, empty: str, shape: Shape, alias: str) -> None:
        if not parts:
            self._add(empty)
            return
        self._add("(")
        for position, part in enumerate(parts):
            if position:
                self._add(glue)
            self.condition(part, shape, alias)
        self._add(")")

    def _exists(self, hop: Hop, where: Filter, shape: Shape, alias: str) -> None:
        other = self.alias()
        self._add("EXISTS (SELECT 1")
        far = self.join_related(hop, alias, other)
        self._add(f" WHERE {far} = {shape.comparable(alias, hop.own_field)}")
        self.visible(hop.target, other, where, prefix=" AND ")
        self._add(")")

    def _order_term(self, shape: Shape, alias: str, key: SortKey) -> None:
        dialect = shape.dialect
        if not key.hops and key.term is None:
            name = key.field.name
            expression = shape.sortable(alias, name)
            nullable = shape.nullable(name)
            self._add(dialect.order_term(expression, descending=key.descending, nullable=nullable))
            return
        # The term's text surrounds what has parameters of its own, so it is cut at a mark and filled.
        mark = "\x00"
        before, after = dialect.order_term(mark, descending=key.descending, nullable=True).split(mark, 1)
        self._add(before)
        self._related_value(key, 0, shape, alias)
        self._add(after)

    def _related_value(self, key: SortKey, position: int, shape: Shape, alias: str) -> None:
        if position == len(key.hops):
            if key.term is None:
                self._add(shape.sortable(alias, key.field.name))
            else:
                add_term(self.builder, key.term, shape.column(alias, key.field.name))
            return
        hop = key.hops[position]
        other = self.alias()
        self._add("(SELECT ")
        self._related_value(key, position + 1, self.shape(hop.target), other)
        far = self.join_related(hop, alias, other)
        self._add(f" WHERE {far} = {shape.comparable(alias, hop.own_field)}")
        self.visible(hop.target, other, prefix=" AND ")
        self._add(" LIMIT 1)")

    def _compare(self, condition: Compare, shape: Shape, alias: str) -> None:
        name, operator, operand = condition.field.name, condition.operator, condition.operand
        column, type = shape.column(alias, name), shape.type(name)
        if isinstance(operand, Truth):
            self._formula(operand, column)
            return
        dialect = shape.dialect
        comparable = shape.comparable(alias, name)
        scaled = dialect.scaled(column, type)
        if operator == "is_null":
            self._add(f"{column} IS {'' if operand else 'NOT '}NULL")
        elif scaled is not None and operator not in ("in", "not_in"):
            self._compare_scaled(condition, scaled, type.precision or 0)
        elif operator in _SYMBOLS:
            self._add(f"{comparable} {_SYMBOLS[operator]} ")
            self._bind_comparable(operand, shape, name)
        elif operator == "between":
            self._add(f"{comparable} BETWEEN ")
            self._bind_comparable(operand[0], shape, name)
            self._add(" AND ")
            self._bind_comparable(operand[1], shape, name)
        elif operator in ("in", "not_in"):
            self._in_list(condition, shape, alias)
        elif operator in _TEXT_OPERATORS:
            ignore_case = operator == "ilike"
            placeholder = self.builder.reserve(dialect.encode_pattern(operand, ignore_case=ignore_case))
            self._add(dialect.matches(column, placeholder, ignore_case=ignore_case))
        else:
            raise ValueError(f"operator {operator} of {type} has no SQL")

    def _formula(self, truth: Truth, column: str) -> None:
        if is_true(truth, None):  # also without a value, which no operator is to find
            self._add(f"{column} IS NOT NULL AND ")
        add_truth(self.builder, truth, column)

    def _compare_scaled(self, condition: Compare, scaled: str, precision: int) -> None:
        operator, operand = condition.operator, condition.operand
        if operator == "between":
            low, high = scaled_bound("gte", operand[0], precision), scaled_bound("lte", operand[1], precision)
            self._add(f"{scaled} BETWEEN {self.builder.reserve(low)} AND {self.builder.reserve(high)}")
            return
        bound = scaled_bound(operator, operand, precision)
        if bound is None:
            self._add("1 = 0" if operator == "eq" else f"{scaled} IS NOT NULL")
            return
        self._add(f"{scaled} {_SYMBOLS[operator]} {self.builder.reserve(bound)}")

    def _bind_comparable(self, value: object, shape: Shape, name: str) -> None:
        type = shape.type(name)
        encoder = shape.dialect.encoder(type)
        placeholder = self.builder.reserve(encoder(value) if encoder else value)
        self._add(shape.dialect.comparable(placeholder, type))

    def _in_list(self, condition: Compare, shape: Shape, alias: str) -> None:
        name, operand = condition.field.name, condition.operand
        if not operand:
            self._add("1 = 0" if condition.operator == "in" else f"{shape.column(alias, name)} IS NOT NULL")
            return
        if condition.operator == "not_in":
            self._add("NOT ")
        self.member_of(shape, alias, name, operand)

    def member_of(self, shape: Shape, alias: str, name: str, values: Sequence[object]) -> None:
        """Append that a field's value is one of `values`."""
        self.member(shape.comparable(alias, name), shape, name, values)

    def member(self, comparable: str, shape: Shape, name: str, values: Sequence[object]) -> None:
        type = shape.type(name)
        placeholder = self.builder.reserve(shape.dialect.encode_list(values, type))
        self._add(f"({shape.dialect.member_of(comparable, placeholder, type)})")
