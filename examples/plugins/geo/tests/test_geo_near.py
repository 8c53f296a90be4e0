"""The operators of points, wherever the kernel knows filters."""

from math import asin, cos, radians, sin, sqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_geo.field_type import POINT, near, nearness
from rocket_geo.sphere import FARTHEST_M, RADIUS_M, distance_m, spot
from rocket_kernel import Actor, Compare, Field, holds
from rocket_kernel.testing import assert_error

CLERK = Actor(id="7", email=None, roles=frozenset({"clerk"}))
FIELD = Field(name="location", type=POINT)


async def found(client, **params):
    answer = (await client.get("town", params={"sort": "name", **params})).require(200)
    return [town["name"] for town in answer.data]


async def near_to(client, text):
    return await found(client, **{"filter[location.near]": text})


NEAR = [
    ("48.2082,16.3738,0m", ["Vienna"]),
    ("48.2082,16.3738,1m", ["Vienna"]),
    ("48.2082, 16.3738, 54.8 km", ["Vienna"]),
    ("48.2082,16.3738,55km", ["Bratislava", "Vienna"]),
    ("48.2082,16.3738,55000m", ["Bratislava", "Vienna"]),
    ("48.2082,16.3738,34mi", ["Vienna"]),
    ("48.2082,16.3738,35mi", ["Bratislava", "Vienna"]),
    ("48.2082,16.3738,146km", ["Bratislava", "Graz", "Vienna"]),
    # Across the antimeridian, from both of its sides.
    ("-18,179.99,300km", ["Suva", "Taveuni"]),
    ("-18,-179.99,300km", ["Suva", "Taveuni"]),
    ("-18,-180,300km", ["Suva", "Taveuni"]),
    # All meridians meet at a pole.
    ("90,77,1m", ["North Pole"]),
    ("89.995,-57,2km", ["Almost there", "North Pole"]),
    ("-90,180,0m", ["South Pole"]),
    ("-89.999,1,0.2km", ["South Pole"]),
]


async def test_near(client, towns):
    for text, names in NEAR:
        assert await near_to(client, text) == names, text


async def test_nothing_is_farther_than_the_antipode(client, towns):
    for distance in ("20015.2km", "999999999km"):
        assert len(await near_to(client, f"0,0,{distance}")) == len(towns) - 1
    assert "Its antipode" not in await near_to(client, "0,0,20015.1km")


async def test_sorting_by_distance(client, towns):
    near = {"filter[location.near]": "10,179,30000km"}
    nearest = await found(client, sort="location.near", **near)
    assert nearest[:3] == ["Its antipode", "Taveuni", "Suva"]
    assert nearest[-1] == "Null Island"
    assert await found(client, sort="-location.near", **near) == nearest[::-1]
    page = (await client.get("town", params={"sort": "location.near", "per_page": 2, "page": 2, **near})).data
    assert [town["name"] for town in page] == nearest[2:4]


async def test_sorting_asks_for_the_filter(client, towns):
    for sort in ("location.near", "location", "location.eq", "name.near"):
        assert_error(await client.get(f"town?sort={sort}"), 400, "UNKNOWN_FIELD", f"Unknown sort field: {sort}")


async def test_sorting_by_the_place_of_a_related_row(client, towns):
    for town in ("Graz", "Vienna", "Bratislava"):
        await client.create("visit", {"title": town, "town_id": towns[town]})
    query = {"filter[visits.location.near]": "48.2,16.4,500km", "sort": "visits.location.near", "include": "town"}
    listed = (await client.get("visit", params=query)).require(200).data
    assert [visit["title"] for visit in listed] == ["Vienna", "Bratislava", "Graz"]


async def test_equal(client, towns):
    assert await found(client, **{"filter[location]": "48.2082,16.3738"}) == ["Vienna"]
    assert await found(client, **{"filter[location]": "0,-180"}) == ["Its antipode"]
    assert await found(client, **{"filter[location.eq]": "90,12"}) == ["North Pole"]
    others = await found(client, **{"filter[location.neq]": "48.2082,16.3738"})
    assert others == sorted(set(towns) - {"Vienna", "Nowhere"})
    assert await found(client, **{"filter[location.is_null]": "true"}) == ["Nowhere"]


NOT_NEAR = (
    ["", "48.2,16.37", "48.2,16.37,5", "48.2,16.37,5 miles", "91,0,5km", "0,181,5km", "nan,0,5km", "0,inf,5km",
     "0,0,1e400km", "0,0,1e3km", "0,0,-1km", "0,0,km", "0,0,infkm", "a,b,5km", "0;0;5km", "1,2,3,4km", "٣,0,5km",
     "0,0," + "9" * 400 + "km", "0x1,0,5km", "1_0,0,5km", "0,0,5km' OR 1=1 --"]
)  # fmt: skip


async def test_what_is_not_near_anything(client):
    for text in NOT_NEAR:
        answer = await client.get("town", params={"filter[location.near]": text})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Invalid filter value for location: {text}")


async def test_operators_that_are_not_there(client):
    for key in ("location.gt", "location.in", "location.like", "name.near", "location.x"):
        operator = key.partition(".")[2]
        answer = await client.get("town", params={f"filter[{key}]": "0,0,5km"})
        assert_error(answer, 400, "INVALID_PAYLOAD", f"Unknown filter operator: {operator}")
    answer = await client.get("town", params={"filter[location.near.near]": "0,0,5km"})
    assert_error(answer, 400, "UNKNOWN_FIELD", "Unknown filter field: location.near.near")


async def test_through_a_relation(client, towns):
    austria = await client.create("country", {"name": "Austria"})
    for town in ("Vienna", "Graz"):
        await client.put(f"town/{towns[town]}", {"country_id": austria["id"]})
    for distance, total in (("5km", 0), ("30km", 1)):
        query = {"filter[towns.location.near]": f"47,15.5,{distance}"}
        assert (await client.get("country", params=query)).meta["total"] == total
    both = {"filter[towns.location.near]": "47,15.5,30km", "filter[towns.name]": "Vienna"}
    assert (await client.get("country", params=both)).meta["total"] == 0


async def test_as_a_condition_of_what_may_be_read(client, towns):
    """A read policy made of the same filter: in lists, totals, by id, in includes, through relations."""
    country = await client.create("country", {"name": "Everywhere"})
    for name, id in towns.items():
        await client.put(f"town/{id}", {"country_id": country["id"]})
        await client.create("visit", {"title": name, "town_id": id})
    clerk = client.as_actor(CLERK)
    assert await found(clerk) == ["Vienna"]
    assert (await clerk.get("town")).meta["total"] == 1
    assert (await clerk.get(f"town/{towns['Vienna']}")).status == 200
    assert (await clerk.get(f"town/{towns['Graz']}")).status == 404
    included = (await clerk.get(f"country/{country['id']}?include=towns")).data
    assert [town["name"] for town in included["towns"]] == ["Vienna"]
    visits = (await clerk.get("visit?include=town&filter[town.name.neq]=x")).data
    assert [visit["title"] for visit in visits] == ["Vienna"]
    hidden = {"filter[towns.location.near]": "0,0,1km"}
    assert (await clerk.get("country", params=hidden)).meta["total"] == 0
    moved = await clerk.put(f"town/{towns['Vienna']}", {"location": {"lat": 0, "lng": 0}})
    assert moved.data == {"id": towns["Vienna"]}, "the caller may not read it any more"
    assert await found(clerk) == []


def haversine_m(a, b):
    """The formula as the books have it."""
    lat, other_lat = radians(a["lat"]), radians(b["lat"])
    d_lat, d_lng = other_lat - lat, radians(b["lng"]) - radians(a["lng"])
    h = sin(d_lat / 2) ** 2 + cos(lat) * cos(other_lat) * sin(d_lng / 2) ** 2
    return 2 * RADIUS_M * asin(min(1.0, sqrt(h)))


latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 0.0, 89.9999999]))
longitudes = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 0.0, 179.9999999]))
points = st.builds(lambda lat, lng: POINT.read({"lat": lat, "lng": lng}, None), latitudes, longitudes)


@settings(max_examples=300, deadline=None)
@given(points, points)
def test_the_straight_line_is_the_haversine_formula(a, b):
    expected = haversine_m(a, b)
    distance = distance_m(spot(**a), spot(**b))
    # Near the antipode the arcsine of both loses digits.
    assert abs(distance - expected) < (1e-3 if expected < FARTHEST_M * 0.999 else 1.0)


@settings(max_examples=300, deadline=None)
@given(points, points, st.integers(0, 20_016_000))
def test_near_is_what_the_distance_says(a, b, within_m):
    distance = distance_m(spot(**a), spot(**b))
    if abs(distance - within_m) < (1e-3 if distance < FARTHEST_M * 0.999 else 1.0):
        return
    text = f"{a['lat']:.17f},{a['lng']:.17f},{within_m}m"
    assert holds(Compare(FIELD, "near", near(text)), {"location": b}) is (distance < within_m)


async def test_databases_and_memory_agree_to_the_last_bit(client):
    """Also for places that lie on the very edge."""
    lats, lngs = (-90, -89.9999, -45.5, -0.0, 1e-9, 48.2082, 89.999999, 90), (-180, -179.9999, -1e-7, 0, 16.3738, 180)
    rows = [{"name": f"{lat} {lng}", "location": {"lat": lat, "lng": lng}} for lat in lats for lng in lngs]
    stored = [await client.create("town", row) for row in rows]
    spots = {town["id"]: spot(**town["location"]) for town in stored}
    assert all(type(town["location"][name]) is float for town in stored for name in ("lat", "lng"))
    for centre in stored[::5]:
        lat, lng = (format(centre["location"][name], ".9f") for name in ("lat", "lng"))
        distances = sorted(distance_m(spots[centre["id"]], spots[town["id"]]) for town in stored)
        for edge_m in distances[::9]:
            text = f"{lat},{lng},{edge_m:.12f}m"
            condition = Compare(FIELD, "near", near(text))
            params = {"filter[location.near]": text, "per_page": 200}
            listed = {town["id"] for town in (await client.get("town", params=params)).require(200).data}
            assert listed == {town["id"] for town in stored if holds(condition, town)}, text


def test_order_is_a_number_of_the_stored_object():
    assert nearness("0,0,1km") == nearness("0,0,2km")
