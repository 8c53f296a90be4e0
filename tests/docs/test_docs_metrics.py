"""docs/instrumentation.md lists every metric there is, with its type and labels."""

from __future__ import annotations

import re
from typing import Any

from rocket_kernel import Across, AppMetric, Config, make_kernel
from rocket_kernel.plugins import installed_plugins

PAGE = "docs/instrumentation.md"
SHIPPED = ("auth", "files", "instrumentation", "rules", "statemachines", "uiconfigs", "webhooks", "workflows")
OF_THE_SYSTEM = "process_"


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def labels_of(metric: Any) -> list[str]:
    if isinstance(metric, AppMetric):
        return ["app", *metric.labels]
    return [*metric.labels, *(["pid"] if metric.across is Across.EACH else [])]


def test_the_page_lists_all_metrics(page):
    shipped = [plugin for plugin in installed_plugins() if plugin.name in SHIPPED]
    settings = {"instrumentation": {"access_log": "json", "otlp_endpoint": "http://localhost:4318"}}
    config = Config()
    object.__setattr__(config.plugins, "settings", settings)
    kernel = make_kernel(config, plugins=shipped)
    own = kernel.parts.plugins.find("instrumentation").outlets.metrics.declared
    found = [metric for _, metric in (*kernel.metrics.of_process, *kernel.metrics.of_apps)] + list(own)
    expected = {metric.name: (getattr(metric, "type", "gauge"), labels_of(metric)) for metric in found}

    listed: dict[str, tuple[str, list[str]]] = {}
    for cell, kind, labels, meaning in page(PAGE).table("## Metrics"):
        assert meaning
        for name in names(cell):
            listed[name] = (kind, names(labels))
    of_the_system = {name for name in listed if name.startswith(OF_THE_SYSTEM)}
    assert of_the_system == {name for name in expected if name.startswith(OF_THE_SYSTEM)}
    assert {name: listed[name][1] for name in of_the_system} == {name: ["pid"] for name in of_the_system}
    ours = {name: value for name, value in expected.items() if name not in of_the_system}
    assert {name: value for name, value in listed.items() if name not in of_the_system} == ours
