"""Letting the processes of a test find plugins that no installed distribution announces."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from rocket_kernel.plugins import ENTRY_POINT_GROUP, Plugin


def announced(folder: Path, plugins: Sequence[type[Plugin]]) -> Mapping[str, str]:
    """Variables of an environment in which `rocket` finds these plugins; empty when it does so anyway.

    What it takes is written to `folder`. The classes must stand in modules that can be imported.
    """
    installed = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
    missing = [plugin for plugin in plugins if plugin.name not in installed]
    if not missing:
        return {}
    info = folder / "site" / "announced_plugins-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: announced-plugins\nVersion: 0\n")
    points = [f"{plugin.name} = {plugin.__module__}:{plugin.__qualname__}" for plugin in missing]
    (info / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *points, ""]))
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = dict.fromkeys([str(info.parent), *map(_import_root, missing), *inherited])
    return {"PYTHONPATH": os.pathsep.join(entry for entry in path if entry)}


def _import_root(plugin: type[Plugin]) -> str:
    """The folder from which the plugin's package is imported."""
    package = sys.modules[plugin.__module__.partition(".")[0]]
    source = Path(str(package.__file__))
    return str(source.parent.parent if source.name == "__init__.py" else source.parent)
