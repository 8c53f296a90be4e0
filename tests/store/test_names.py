from __future__ import annotations

from rocket_kernel.store.names import (
    MAX_BYTES,
    distinct_index_name,
    index_name,
    indexed_column,
    is_reserved_column,
    is_reserved_table,
)


def test_index_name() -> None:
    assert index_name("courses", "title") == "idx_courses_title"
    assert index_name("a", "b", "c") == "idx_a_b_c"


def test_a_long_name_is_cut_and_completed_with_a_stable_hash() -> None:
    first, second = index_name("t" * 63, "a" * 62 + "b"), index_name("t" * 63, "a" * 62 + "c")
    assert first == index_name("t" * 63, "a" * 62 + "b") == "idx_" + "t" * 50 + "_" + first[-8:]
    assert first != second
    assert len(first) == len(second) == MAX_BYTES
    assert index_name("t" * 29, "f" * 29) == "idx_" + "t" * 29 + "_" + "f" * 29


def test_an_index_is_found_by_either_of_its_names() -> None:
    usual = index_name("a", "b_c")
    assert usual == index_name("a_b", "c")
    other = distinct_index_name(usual, "a_b")
    assert other != distinct_index_name(usual, "a")
    assert indexed_column(usual, "a_b", ["x", "c"]) == "c"
    assert indexed_column(other, "a_b", ["x", "c"]) == "c"
    assert indexed_column(other, "a", ["b_c"]) is None


def test_reserved_names() -> None:
    assert is_reserved_table("pg_class")
    assert is_reserved_table("sqlite_master")
    assert not is_reserved_table("pages")
    assert is_reserved_column("xmin")
    assert not is_reserved_column("oid")
