"""From measurements to the table, the JSON and the warnings."""

import json

import pytest

from bench.figures import Measurement, compare
from bench.questions import SCENARIOS, Scenario
from bench.report import as_json, disturbance, markdown_table, missed, ratio_table, settings_list, write_files
from bench.wrk import Outcome

GET = Scenario("get", "get by id", 2)
NESTED = Scenario("nested", "create 1 + 10 nested", None, writes=True)


def measured(rate, *, p50=5.0, p99=20.0, disturbed=0.0):
    return Measurement(Outcome(rate * 4, 4.0, p50, p99), used=0.98, disturbed=disturbed)


def compared(scenario, *rates, **options):
    return compare(scenario, [(measured(ours, **options), measured(theirs)) for ours, theirs in rates])


def test_the_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians():
    comparison = compared(GET, (3000, 1000), (8000, 2000), (1000, 900))
    assert comparison.ratio == 3.0
    assert (comparison.lowest, comparison.highest) == (pytest.approx(1.11, abs=0.01), 4.0)
    assert (comparison.ours.rate, comparison.theirs.rate) == (3000, 1000)


@pytest.mark.parametrize(
    ("scenario", "rates", "reached"),
    [(GET, (4000, 2000), True), (GET, (3999, 2000), False), (NESTED, (1, 2000), None)],
)
def test_a_target_is_reached_missed_or_not_there(scenario, rates, reached):
    assert compared(scenario, rates).reached is reached


def test_the_table_shows_both_figures_ratio_target_and_latencies():
    table = ratio_table([compared(GET, (5000, 2500)), compared(NESTED, (600, 400))], "Rocket", "PocketBase")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert lines[0][1:4] == ["PocketBase /s", "Rocket /s", "ratio"]
    assert lines[2] == [
        "get by id",
        "2,500",
        "5,000",
        "**2.00**",
        "2.00 to 2.00",
        "2 reached",
        "5.0 / 20.0",
        "5.0 / 20.0",
    ]
    assert lines[3][:6] == ["create 1 + 10 nested", "400", "600", "**1.50**", "1.50 to 1.50", ""]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_table_aligns_text_left_and_figures_right():
    assert markdown_table(["", "n"], [["a", "1"], ["bcd", "22"]]).splitlines() == [
        "|     |  n |",
        "| --- | -: |",
        "| a   |  1 |",
        "| bcd | 22 |",
    ]


def test_missed_targets_are_named_with_what_was_reached():
    found = missed([compared(GET, (1500, 1000)), compared(NESTED, (1, 1000))])
    assert found == ["get by id: 1.50 of 2"]


def test_a_disturbed_measurement_is_told():
    calm, loud = compared(NESTED, (2, 1)), compared(GET, (2, 1), disturbed=0.3)
    assert disturbance([calm, loud], 0.1) == "Other programs took more than 10% of the server's core during: get."
    assert disturbance([calm], 0.1) == ""


def test_json_holds_settings_figures_and_targets():
    found = json.loads(as_json([compared(GET, (5000, 2000))], {"machine": {"python": "3.11.7"}}))
    assert found["settings"] == {"machine": {"python": "3.11.7"}}
    get = found["scenarios"]["get"]
    assert (get["ratio"], get["reached"], get["ours"]["rate"], get["theirs"]["p99_ms"]) == (2.5, True, 5000, 20.0)


def test_settings_are_a_list_a_line_for_each_side():
    listed = settings_list({"Rocket": {"synchronous": "FULL", "journal mode": "wal"}, "load": {"seconds": "4"}})
    assert listed.splitlines() == ["- Rocket: synchronous FULL, journal mode wal", "- load: seconds 4"]


def test_files_are_written_into_a_folder_that_is_made(tmp_path):
    write_files(tmp_path / "out", "comparison", markdown="# x\n", json_text="{}\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["comparison.json", "comparison.md"]


def test_reads_are_measured_before_anything_has_been_written():
    writes = [scenario.writes for scenario in SCENARIOS]
    assert writes == sorted(writes)


def test_targets_are_those_of_the_project():
    assert {s.name: s.target for s in SCENARIOS if s.target} == {"list": 5, "filter": 5, "get": 2, "create": 1}
