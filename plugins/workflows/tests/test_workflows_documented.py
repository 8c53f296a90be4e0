"""docs/workflows.md lists what the plugin knows, and nothing else."""

import re
from pathlib import Path

import pytest

from rocket_workflows.check_actions import RECORD_ACTIONS, SEND_EVENT
from rocket_workflows.definition import TRIGGERS
from rocket_workflows.parse_steps import TARGETS
from rocket_workflows.routes import make_routes
from rocket_workflows.settings import WorkflowSettings
from rocket_workflows.starting import Starter

PAGE = (Path(__file__).parents[3] / "docs" / "workflows.md").read_text()


def listed(heading):
    """What stands in backquotes in the first column of the table under a heading."""
    section = re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")][2:]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "known"),
    [("Triggers", TRIGGERS), ("Steps", set(TARGETS)), ("Actions", RECORD_ACTIONS | {SEND_EVENT, "webhook"})],
)
def test_every_type_is_listed(heading, known):
    assert listed(heading) == known


def test_every_route_is_listed():
    routes = make_routes(Starter(10), WorkflowSettings(), lambda _app: None)
    paths = {route.path.partition("/:app/")[2].replace(":id", "{id}") for route in routes}
    shown = {"_workflows/{id}" + name if name.startswith("/") else name for name in listed("Instances")}
    assert shown == paths - {"_admin/workflows/{id}/diagram"}
