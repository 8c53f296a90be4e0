"""The examples of contract §7.9."""

from __future__ import annotations

import pytest

EXAMPLES = [
    ("record.qty * record.price", 30),
    ("record.qty > 9 and record.qty <= 500", True),
    ('record.kind in ["loan", "gift"]', True),
    ('user.roles contains "auditor"', False),
    ("record.note ?? record.sku", "AB-204"),
    ('record.sku matches "^[A-Z]{2}-\\d+$"', True),
    ('!(record.sku startsWith "AB")', False),
    ('record.price > 100 ? "high" : record.price > 2 ? "mid" : "low"', "mid"),
    ("sum(related.lines, 'qty * price')", 17.5),
    ("any(related.lines, 'qty < 1')", False),
    ("len(filter(related.lines, 'price >= 5'))", 1),
    ("days_between(record.starts_on, record.ends_on)", 45),
    ('record.ends_on > "2026-04-01T00:00:00Z"', True),
    ("record.note.trim().length", None),
    ("record.note * 2", None),
    ("record.note > 5 || record.note < 5", False),
    ("old.price < record.price && changes.price != nil", True),
    ("round(record.price * 1.075, 2)", 2.69),
    ('"Lot " + record.sku.toLowerCase() + "/" + record.qty', "Lot ab-204/12"),
    ('{"low": 1, "high": 3}[record.meta.level] ?? 2', 3),
    ('record.tags[0] == "new" and not ("old" in record.tags)', True),
    ("Math.max(record.qty, 20) % 7", 6),
    ("user.id === record.owner && action !== 'delete'", True),
    ("(new Date(record.ends_on) - new Date(record.starts_on)) / 86400000", 45),
]


@pytest.mark.parametrize(("source", "value"), EXAMPLES, ids=[source for source, _ in EXAMPLES])
def test_example(source, value, value_of):
    found = value_of(source)
    assert found == value
    assert type(found) is type(value)
