"""The ratios as bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.figures import Comparison

_WIDTH = 0.6


def draw(comparisons: Sequence[Comparison], ours: str, theirs: str, path: Path) -> None:
    """A PNG: how many times the requests per second of `theirs` the other one answers, and what was to be reached."""
    # Slow to import, and only there with the extra `bench`.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.6 * len(comparisons) + 1.6), layout="constrained")
    places = range(len(comparisons))[::-1]
    ratios = [each.ratio for each in comparisons]
    spread = [
        [each.ratio - each.lowest for each in comparisons],
        [each.highest - each.ratio for each in comparisons],
    ]
    axes.barh(places, ratios, _WIDTH, xerr=spread, color="#1055c9", ecolor="#7a7a7a")
    axes.axvline(1, color="black", linewidth=1)
    targets = [(place, each.scenario.target) for place, each in zip(places, comparisons, strict=True)]
    for place, target in targets:
        if target is not None:
            axes.plot([target, target], [place - 0.4, place + 0.4], color="#d9480f", linewidth=2)
    for place, each in zip(places, comparisons, strict=True):
        text = f"{each.ratio:.1f}   {each.ours.rate:,.0f} : {each.theirs.rate:,.0f} /s"
        axes.text(max(each.highest, each.scenario.target or 0), place, f"  {text}", va="center")
    axes.set_yticks(list(places), [each.scenario.label for each in comparisons])
    axes.set_xlim(0, max(each.highest for each in comparisons) * 1.35)
    axes.set_xlabel(f"requests per second of {ours} over those of {theirs}; red: what is to be reached")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
