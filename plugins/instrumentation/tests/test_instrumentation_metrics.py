"""GET /metrics: who may read it, what stands in it, and how little it can be made to grow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rocket_instrumentation import InstrumentationPlugin
from rocket_instrumentation.metrics_access import is_forwarded, is_loopback
from rocket_instrumentation.metrics_apps import AGE_S, STALE_S, AppFigures
from rocket_instrumentation.metrics_figures import Reader
from rocket_instrumentation.metrics_requests import OTHER_APPS, RequestCounts
from rocket_kernel import (
    Actor,
    AppMetric,
    Column,
    ColumnType,
    Distribution,
    Metric,
    MetricType,
    Plugin,
    Request,
    Storage,
    Table,
    TableRows,
    Unavailable,
    hookimpl,
)
from rocket_kernel.testing import Actors, FakeClock, assert_error, entity

ANONYMOUS = {"actors": {"default": None}}
PLATFORM = Actor(id="p", email=None, roles=frozenset({"platform_admin"}), platform=True)
APP_ADMIN = Actor(id="a", email=None, roles=frozenset({"admin"}))
METRICS_ROUTE = InstrumentationPlugin().outlets.metrics.route
BEHIND_A_PROXY = {"X-Forwarded-For": "127.0.0.1"}


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels, as a scraper understands them."""
    found: dict[str, Any] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            samples = found.setdefault(sample.name, {})
            assert labels not in samples, "every series appears once"
            samples[labels] = sample.value
    return found


async def scraped(client, **options):
    answer = (await client.get("/metrics", **options)).require(200)
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)


def sample(samples, name, **labels):
    return samples.get(name, {}).get(tuple(sorted(labels.items())))


def requests(samples, **labels):
    return sample(samples, "rocket_http_requests_total", **labels)


@pytest.fixture
async def shop(start_kernel):
    running = await start_kernel([InstrumentationPlugin])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    return client


# -- Who may read --


async def test_a_process_of_this_machine_needs_no_token(start_kernel):
    running = await start_kernel([InstrumentationPlugin, Actors], settings=ANONYMOUS)
    assert "rocket_info" in await scraped(running.client)


FORWARDED = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": ""},
    {"X-Forwarded-Proto": "https"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "::1"},
    {"Via": "1.1 cache"},
    {"X_Forwarded_For": "127.0.0.1"},
    {"CF-Connecting-IP": "127.0.0.1"},
    {"True-Client-IP": "127.0.0.1"},
    {"X-ORIGINAL-FORWARDED-FOR": "127.0.0.1"},
]


@pytest.mark.parametrize("headers", FORWARDED, ids=str)
async def test_a_proxy_on_this_machine_lets_nobody_in(start_kernel, headers):
    running = await start_kernel([InstrumentationPlugin, Actors], settings=ANONYMOUS)
    refused = await running.client.get("/metrics", headers=headers)
    assert_error(refused, 401, "UNAUTHORIZED", "Missing auth token")


async def test_through_a_proxy_a_platform_administrator_may_read(start_kernel):
    running = await start_kernel([InstrumentationPlugin, Actors], settings=ANONYMOUS)
    assert "rocket_info" in await scraped(running.client.as_actor(PLATFORM), headers=BEHIND_A_PROXY)
    refused = await running.client.as_actor(APP_ADMIN).get("/metrics", headers=BEHIND_A_PROXY)
    assert_error(refused, 403, "FORBIDDEN", "Admin access required")
    assert "rocket" not in refused.text


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("0.0.0.0", False),
        ("fe80::1%lo", False),
        ("localhost", False),
        ("", False),
        (None, False),
    ],
)
def test_what_counts_as_this_machine(peer, expected):
    assert is_loopback(peer) is expected


def test_ordinary_headers_are_no_marks_of_a_proxy():
    assert not is_forwarded(["host", "accept", "x-prometheus-scrape-timeout-seconds", "user-agent", "authorization"])


async def test_other_methods_and_head(shop):
    head = await shop.request("HEAD", "/metrics")
    assert (head.status, head.body) == (200, b"")
    assert (await shop.post("/metrics", {})).status == 405


# -- What stands in it --


async def test_requests_are_counted_by_app_method_route_and_status(shop):
    for number in range(3):
        await shop.create("book", {"title": str(number)})
    await shop.get("book/1")
    await shop.get("book/99")
    await shop.get("book?sort=nonsense")
    found = await scraped(shop)
    one, many = "/api/:app/:entity/:id", "/api/:app/:entity"
    assert requests(found, app="shop", method="POST", route=many, status="201") == 3
    assert requests(found, app="shop", method="GET", route=one, status="404") >= 1
    assert requests(found, app="shop", method="GET", route=many, status="400") == 1
    assert sample(found, "rocket_http_request_seconds_count", method="POST", route=many) == 3
    buckets = {
        dict(labels)["le"]: value
        for labels, value in found["rocket_http_request_seconds_bucket"].items()
        if {("method", "POST"), ("route", many)} <= set(labels)
    }
    assert buckets["+Inf"] == 3
    assert list(buckets.values()) == sorted(buckets.values())
    assert sample(found, "rocket_http_response_bytes_total", app="shop") > 100


async def test_a_scrape_counts_itself_in_the_next_one(shop):
    await scraped(shop)
    assert requests(await scraped(shop), app="", method="GET", route="/metrics", status="200") == 1


async def test_pools_jobs_and_the_process_are_shown(shop, clock):
    found = await scraped(shop)
    for app in ("shop", "_platform"):
        assert sample(found, "rocket_pool_connections", app=app, state="used") is not None
        assert sample(found, "rocket_pool_limit", app=app) > 0
        # Not how many: the job that stores events may wait for a connection to be opened just now.
        assert sample(found, "rocket_pool_waiting", app=app) is not None
    assert sample(found, "rocket_job_lag_seconds", app="shop") is not None
    assert sample(found, "rocket_jobs_due", app="shop") is not None
    assert sample(found, "rocket_apps_open") == 1
    (labels,) = found["process_resident_memory_bytes"]
    assert labels[0][0] == "pid"
    assert found["process_resident_memory_bytes"][labels] > 1_000_000
    assert found["process_cpu_seconds_total"][labels] > 0


# -- How little it can be made to grow --


async def test_ten_thousand_paths_make_a_handful_of_series(shop):
    before = len((await scraped(shop))["rocket_http_requests_total"])

    async def ask(number):
        await shop.get(f"/nothing/{number}")
        await shop.get(f"/api/app-{number}/book")
        await shop.get(f"/api/shop/kind{number}")
        await shop.get(f"/api/shop/book/{number}")
        await shop.request(f"VERB{number}", f"/api/shop/book/{number}")

    for start in range(0, 2000, 100):
        await asyncio.gather(*map(ask, range(start, start + 100)))
    found = (await scraped(shop))["rocket_http_requests_total"]
    assert len(found) <= before + 8
    assert sum(found.values()) > 10_000
    series = {dict(labels)["app"] for labels in found}
    assert series == {"", "shop", "(unknown)"}
    counts = shop.kernel.parts.plugins.find("instrumentation").outlets.metrics.requests
    assert len(counts._cells) <= len(found) + 8, "nothing grows behind the scenes either"
    assert {dict(labels)["method"] for labels in found} <= {"GET", "HEAD", "POST", "OPTIONS", "(other)"}


async def test_odd_paths_do_no_harm(shop):
    for path in (
        "/api/shop/" + "x" * 60_000,
        '/api/sh"op\\\n/%00',
        "/api/%ff%fe/book",
        "/api/shop/book/%0a%22%7d",
        "//",
        "/api/shop/\u202e",
    ):
        assert (await shop.get(path)).status in (400, 404)
    found = await scraped(shop)
    assert all(len(value) < 60 for labels in found["rocket_http_requests_total"] for _, value in labels)


async def test_an_app_that_is_deleted_is_forgotten(shop):
    await shop.get("book")
    assert any(("app", "shop") in labels for labels in (await scraped(shop))["rocket_http_requests_total"])
    (await shop.delete("/api/_platform/apps/shop")).require(200)
    found = await scraped(shop)
    assert not [name for name, samples in found.items() if any(("app", "shop") in labels for labels in samples)]


def test_beyond_a_limit_apps_are_counted_together():
    counts = RequestCounts(max_cells=3)
    for number in range(10):
        counts.observe(request_of(f"app{number}"), 200, 5, 0.01)
        counts.observe(request_of("app0"), 200, 5, 0.01)
    (requests_metric, latency, sent) = counts.metrics()
    found = {labels[0]: value for labels, value in requests_metric.read()}
    assert found == {"app0": 11.0, "app1": 1.0, "app2": 1.0, OTHER_APPS: 7.0}
    assert sum(value for _, value in sent.read()) == 100.0
    assert [value.total for _, value in latency.read()] == [pytest.approx(0.2)]


class NamedApp:
    def __init__(self, name):
        self.name = name


def request_of(app: str) -> Request:
    made = Request(None, "GET", "/", "", {}, "t", FakeClock().now())  # type: ignore[arg-type]
    made.route, made.app = METRICS_ROUTE, NamedApp(app)  # type: ignore[assignment]
    return made


# -- Metrics of others --

PARCELS = Table(
    name="_parcels",
    columns=(Column("id", ColumnType(Storage.INTEGER), nullable=False),),
    primary_key=("id",),
)


class Parcels(Plugin):
    """A stranger's plugin, some of whose metrics do not work."""

    name = "parcels"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.weights = Distribution((1.0, 10.0))

    @hookimpl
    def register_tables(self):
        return [PARCELS]

    @hookimpl
    def register_metrics(self):
        async def waiting(app):
            async with app.reading() as (session, _):
                return [((), await TableRows(PARCELS).count(session))]

        async def broken_of(_app):
            raise SystemExit

        async def away(_app):
            raise Unavailable

        def broken():
            raise ZeroDivisionError

        return [
            AppMetric(name="rocket_parcels_waiting", help="Waiting.", read=waiting),
            AppMetric(name="rocket_parcels_broken_apps", help="Broken.", read=broken_of),
            AppMetric(name="rocket_parcels_away", help="Away.", read=away),
            Metric(name="rocket_parcels_broken", help="Broken.", read=broken),
            Metric(name="rocket_parcels_mislabelled", help="Wrong.", labels=("a",), read=lambda: [((), 1)]),
            Metric(name="rocket_parcels_no_number", help="Wrong.", read=lambda: [((), "many")]),
            Metric(
                name="rocket_parcels_weight",
                help='Weights: "heavy",\nback\\slash.',
                type=MetricType.HISTOGRAM,
                labels=("kind",),
                bounds=(1.0, 10.0),
                read=lambda: [(('odd"\n\\',), self.weights)],
            ),
        ]


async def test_figures_of_plugins_are_shown_and_broken_ones_left_out(start_kernel, caplog):
    running = await start_kernel([InstrumentationPlugin, Parcels])
    client = await running.client.app("shop")
    await client.get("nothing")
    app = await running.kernel.apps.app("shop")
    async with app.writing() as (tx, _):
        await TableRows(PARCELS).insert_many(tx, [{"id": 1}, {"id": 2}])
    weights = running.kernel.parts.plugins.find("parcels").weights
    for weight in (0.5, 5.0, 50.0):
        weights.observe(weight)
    await scraped(client)
    found = await scraped(client)
    assert sample(found, "rocket_parcels_waiting", app="shop") == 2
    kind = 'odd"\n\\'
    assert sample(found, "rocket_parcels_weight_bucket", kind=kind, le="1.0") == 1
    assert sample(found, "rocket_parcels_weight_bucket", kind=kind, le="10.0") == 2
    assert sample(found, "rocket_parcels_weight_bucket", kind=kind, le="+Inf") == 3
    assert sample(found, "rocket_parcels_weight_sum", kind=kind) == 55.5
    for name in ("broken_apps", "away", "broken", "mislabelled", "no_number"):
        assert f"rocket_parcels_{name}" not in found
    # Three of the process are read each time, the failing one of apps is not asked again at once.
    assert sample(found, "rocket_metric_failures_total", plugin="parcels") >= 4
    logged = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert sorted(logged) == sorted(
        f"metric rocket_parcels_{name} of parcels cannot be read"
        for name in ("broken", "broken_apps", "mislabelled", "no_number")
    )


# -- Asking databases with restraint --


class Hands:
    """A clock that the test moves."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


class Asked:
    def __init__(self, hands, took=0.0):
        self.hands, self.took, self.names = hands, took, []
        self.fails = False

    async def __call__(self, app):
        self.names.append(app.name)
        self.hands.at += self.took
        if self.fails:
            raise Unavailable
        return [((), len(self.names))]


class KnownApp(NamedApp):
    def __init__(self, name, identity="1"):
        super().__init__(name)
        self.identity = identity


def app_figures(read, hands):
    metric = AppMetric(name="rocket_x_y", help="", read=read)
    return AppFigures([("x", metric)], Reader(), now=hands)


async def test_a_figure_is_asked_again_when_it_is_old():
    hands = Hands()
    read = Asked(hands)
    figures = app_figures(read, hands)
    await figures.refresh([KnownApp("a")])
    await figures.refresh([KnownApp("a")])
    assert read.names == ["a"]
    hands.at += AGE_S
    await figures.refresh([KnownApp("a")])
    assert read.names == ["a", "a"]
    assert figures.figures() == {"rocket_x_y": {("a",): 2.0}}


async def test_what_takes_long_is_asked_seldom():
    hands = Hands()
    read = Asked(hands, took=0.9)
    figures = app_figures(read, hands)
    await figures.refresh([KnownApp("a")])
    hands.at += 40
    await figures.refresh([KnownApp("a")])
    assert len(read.names) == 1
    hands.at += 10
    await figures.refresh([KnownApp("a")])
    assert len(read.names) == 2


async def test_many_apps_are_asked_in_turns():
    hands = Hands()
    read = Asked(hands, took=0.1)
    figures = app_figures(read, hands)
    apps = [KnownApp(f"app{number:02}") for number in range(25)]
    for _ in range(3):
        await figures.refresh(apps)
    assert sorted(read.names) == [app.name for app in apps], "each once, ten or so at a time"
    assert len(figures.figures()["rocket_x_y"]) == 25


async def test_the_last_known_figures_are_shown_for_a_while():
    hands = Hands()
    read = Asked(hands)
    figures = app_figures(read, hands)
    await figures.refresh([KnownApp("a")])
    read.fails = True
    hands.at += AGE_S
    await figures.refresh([KnownApp("a")])
    assert figures.figures() == {"rocket_x_y": {("a",): 1.0}}
    hands.at += STALE_S
    assert figures.figures() == {"rocket_x_y": {}}


async def test_another_app_of_the_same_name_has_figures_of_its_own():
    hands = Hands()
    read = Asked(hands)
    figures = app_figures(read, hands)
    await figures.refresh([KnownApp("a", "1")])
    await figures.refresh([KnownApp("a", "2")])
    assert figures.figures() == {"rocket_x_y": {("a",): 2.0}}
    await figures.refresh([])
    assert figures.figures() == {"rocket_x_y": {}}


async def test_a_database_that_does_not_answer_holds_nobody_up():
    hands = Hands()
    never = asyncio.Event()

    async def read(_app):
        await never.wait()

    figures = app_figures(read, hands)
    figures.round_s = 0.01
    async with asyncio.timeout(5):
        await figures.refresh([KnownApp("a"), KnownApp("b")])
    assert figures.figures() == {"rocket_x_y": {}}


async def test_scrapes_at_the_same_time_are_all_answered(shop):
    answers = await asyncio.gather(*(shop.get("/metrics") for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20
