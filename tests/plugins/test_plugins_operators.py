"""Filter operators that field types bring: one formula, in SQL and in memory, wherever filters are."""

import operator
import random

import pytest

from rocket_kernel import Compare, Field, FieldType, Operator, Part, Plugin, Storage, Term, Truth, holds, hookimpl
from rocket_kernel.store.formulas import LARGEST_PART, Constant, is_true, number_of
from rocket_kernel.testing import assert_error, entity, one_to_many, query_plan

PARTS = ("a", "b", "c")
FORMULAS: dict[str, Truth] = {}


def read_numbers(value, _precision):
    if not isinstance(value, dict):
        raise ValueError("an object expected")
    return value


def formula(text):
    """The condition that a test has put there."""
    if text not in FORMULAS:
        raise ValueError("no such formula")
    return FORMULAS[text]


def at_most(text):
    return Part("a").between(-1e9, float(text))


NUMBERS = FieldType(
    name="numbers",
    storage=Storage.JSON,
    read=read_numbers,
    read_filter=lambda text, _precision: {},
    operators=frozenset({"is_null"}),
    own_operators={"fits": Operator(formula), "under": Operator(at_most, order=lambda text: Part("a") * Part("a"))},
    indexed_parts=("a",),
    sortable=False,
)


class Numbers(Plugin):
    name = "numbers"

    @hookimpl
    def register_field_types(self):
        return [NUMBERS]


@pytest.fixture
async def running(start_kernel):
    return await start_kernel([Numbers])


@pytest.fixture
async def client(running):
    FORMULAS.clear()
    client = await running.client.app("shop")
    await client.define(entity("row", n="numbers", owner_id="uuid"), entity("owner", name="string"))
    await client.relate(one_to_many("rows", "owner", "row"))
    return client


def random_term(draw, depth):
    if depth == 0:
        return draw.choice([Part(draw.choice(PARTS)), Constant(draw.choice([0, 0.1, -1.5, 1e16, 3, 2**53 + 1.0]))])
    left, right = random_term(draw, depth - 1), random_term(draw, depth - 1)
    return draw.choice([operator.add, operator.sub, operator.mul])(left, right)


def random_truth(draw, depth):
    if depth == 0:
        left, right = random_term(draw, draw.randrange(3)), random_term(draw, draw.randrange(2))
        compare = [operator.lt, operator.le, operator.gt, operator.ge, Term.equals, Term.differs]
        return draw.choice(compare)(left, right)
    left, right = random_truth(draw, depth - 1), random_truth(draw, depth - 1)
    return left & right if draw.random() < 0.5 else left | right


STORED = [
    {"a": 0, "b": 1, "c": -1},
    {"a": 3, "b": 3},
    {"a": LARGEST_PART, "b": -LARGEST_PART, "c": 2**53 + 1},
    {"a": LARGEST_PART + 1, "b": 1, "c": 1},
    {"a": 10**400, "b": 2, "c": -3},
    {"a": "3", "b": 1.5, "c": True},
    {"a": 1.0, "b": None, "c": [1]},
    {"a": -7, "b": 7, "c": 49},
    {"A": 1},
    {},
    None,
]


async def test_databases_and_memory_mean_the_same(client):
    """Random formulas over rows with and without their parts, the unknown included."""
    rows = [await client.create("row", {"n": stored}) for stored in STORED]
    draw = random.Random(7)
    hits = 0
    for number in range(150):
        FORMULAS["f"] = truth = random_truth(draw, draw.randrange(3))
        found = {row["id"] for row in (await client.get("row?filter[n.fits]=f")).require(200).data}
        condition = Compare(Field("n", NUMBERS), "fits", truth)
        assert found == {row["id"] for row in rows if holds(condition, row)}, (number, truth)
        hits += len(found)
    assert 0.1 < hits / (150 * len(rows)) < 0.9, "the formulas tell rows apart"


def test_unknown_is_not_fulfilled_and_spreads_as_in_sql():
    unknown, yes, no = Part("x") < 1, Constant(0) < 1, Constant(1) < 0
    assert is_true(unknown, {}) is None
    assert [is_true(each, {}) for each in (unknown & yes, unknown & no, no & unknown)] == [None, False, False]
    assert [is_true(each, {}) for each in (unknown | yes, yes | unknown, unknown | no)] == [True, True, None]
    assert number_of(Part("x") * 0, {"x": True}) is None
    assert [number_of(Part("x") - 1, stored) for stored in (None, [1], "x", {"x": 3})] == [None, None, None, 2.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e101])
def test_numbers_that_a_database_might_stumble_over(value):
    with pytest.raises(ValueError, match="a number of ordinary size"):
        _ = Part("a") + value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"storage": Storage.TEXT}, "only JSON has parts"),
        ({"own_operators": {"not a name": Operator(at_most)}}, "'not a name' is no name for an operator"),
        ({"own_operators": {"a.b": Operator(at_most)}}, "'a.b' is no name for an operator"),
        ({"indexed_parts": ("$",)}, "'\\$' is no name for an operator or a part"),
    ],
)
def test_types_that_cannot_be(given, message):
    usual = {"own_operators": {"under": Operator(at_most)}, "storage": Storage.JSON, "indexed_parts": ()}
    with pytest.raises(ValueError, match=message):
        FieldType(name="x", read=read_numbers, read_filter=read_numbers, operators=frozenset(), **{**usual, **given})


async def test_a_text_that_is_refused(client):
    for query, message in (
        ("n.fits]=g", "Invalid filter value for n: g"),
        ("n.under]=many", "Invalid filter value for n: many"),
        ("n.under]=1e400", "Invalid filter value for n: 1e400"),
        ("n.over]=1", "Unknown filter operator: over"),
        ("n]=1", "Unknown filter operator: eq"),
    ):
        assert_error(await client.get(f"row?filter[{query}"), 400, "INVALID_PAYLOAD", message)


async def test_sorting_by_an_operator(client):
    owner = await client.create("owner", {"name": "o"})
    for a in (3, -1, None, 2, -5):
        await client.create("row", {"n": None if a is None else {"a": a}, "owner_id": owner["id"]})

    async def sorted_by(sort):
        params = {"filter[n.under]": 1e9, "sort": sort}
        listed = (await client.get("row", params=params)).require(200).data
        return [row["n"]["a"] for row in listed]

    assert await sorted_by("n.under") == [-1, 2, 3, -5]
    assert await sorted_by("-n.under,id") == [-5, 3, 2, -1]
    for sort in ("n.under", "n.fits", "n", "n.under.under", "owner.n.under"):
        answer = await client.get("row", params={"sort": sort, "filter[n.fits]": "f"})
        assert answer.status == 400, sort
    FORMULAS["f"] = Part("a") > 0
    refused = await client.get("row", params={"sort": "n.fits", "filter[n.fits]": "f"})
    assert_error(refused, 400, "UNKNOWN_FIELD", "Unknown sort field: n.fits")


async def test_a_field_goes_before_a_relation_of_its_name(client):
    await client.define(entity("thing", under="numbers", row_id="uuid"))
    await client.relate(one_to_many("n", "row", "thing"))
    row = await client.create("row", {"n": {"a": 5}})
    await client.create("thing", {"under": {"a": 1}, "row_id": row["id"]})
    for query, total in (("n.under]=4", 0), ("n.under]=5", 1), ("n.under.under]=1", 1), ("n.under.under]=0", 0)):
        assert (await client.get(f"row?filter[{query}")).require(200).meta["total"] == total, query


async def test_indexes_of_parts_in_new_and_old_tables(running, client):
    await client.define(entity("late", name="string"))
    (await client.put("_admin/entities/late", entity("late", name="string", n="numbers"))).require(200)
    (await client.put("_admin/entities/late", entity("late", name="string", n="numbers"))).require(200)
    rows = [{"n": {"a": n}} for n in range(3000)]
    for name in ("row", "late"):
        definition = (await client.get(f"_admin/entities/{name}")).data["definition"]
        document = {"entities": [definition], "sample_data": {name: rows}}
        assert (await client.post("_admin/import", document)).data["summary"]["records"] == 3000
        assert f"idx_{name}_n.a" in await query_plan(running, "shop", f"{name}?filter[n.under]=3")
        assert f"idx_{name}_n.a" not in await query_plan(running, "shop", f"{name}?filter[n.is_null]=true")
