"""Formulas over the parts of one column -> SQL, parameter by parameter in the order of the text."""

from __future__ import annotations

from rocket_kernel.store.builder import SqlBuilder
from rocket_kernel.store.formulas import Arithmetic, Comparison, Constant, Joined, Part, Term, Truth


def add_truth(builder: SqlBuilder, truth: Truth, column: str) -> None:
    """Append a condition on the column, whose parentheses are its own."""
    match truth:
        case Comparison(operator, left, right):
            add_term(builder, left, column)
            builder.add(f" {operator} ")
            add_term(builder, right, column)
        case Joined(glue, left, right):
            builder.add("(")
            add_truth(builder, left, column)
            builder.add(f" {glue} ")
            add_truth(builder, right, column)
            builder.add(")")
        case _:
            raise TypeError(f"{type(truth).__name__} is no condition")


def add_term(builder: SqlBuilder, term: Term, column: str) -> None:
    """Append a number that depends on the column."""
    dialect = builder.dialect
    match term:
        case Part(name):
            builder.add(dialect.part(column, name))
        case Constant(value):
            builder.add(dialect.number(builder.reserve(float(value))))
        case Arithmetic(operator, left, right):
            builder.add("(")
            add_term(builder, left, column)
            builder.add(f" {operator} ")
            add_term(builder, right, column)
            builder.add(")")
        case _:
            raise TypeError(f"{type(term).__name__} is no term")
