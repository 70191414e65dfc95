"""`python -m benchmarks.plot REPORT.json FOLDER`: a report's charts as PNG; runs in the benchmark environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = ("#1f6f8b", "#e07a3f", "#8d99ae", "#5b8c5a")
GROUP_WIDTH = 0.8
PANEL_INCHES = (5.2, 4.2)
LOG_HEADROOM = 8
"""Factor of the space above the bars, for the legend."""


def draw(report: dict[str, Any], folder: Path) -> Path:
    """Draw all charts of a report side by side into `<name>.png`; returns the file.

    Args:
        report: JSON form of a `Report`.
        folder: where the file is written.
    """
    charts = report["charts"]
    figure, panels = plt.subplots(
        1, len(charts), figsize=(PANEL_INCHES[0] * len(charts), PANEL_INCHES[1]), squeeze=False, layout="constrained"
    )
    for chart, axes in zip(charts, panels[0], strict=True):
        (_bars if chart["kind"] == "bars" else _lines)(axes, chart)
        axes.set_title(chart["title"], fontsize=10)
        axes.set_xlabel(chart["x_label"])
        axes.set_ylabel(chart["y_label"])
        if chart["log"]:
            # Linear around zero, since differences may be negative on a noisy machine.
            axes.set_yscale("symlog", linthresh=1)
            axes.set_ylim(top=axes.get_ylim()[1] * LOG_HEADROOM)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(chart["series"]) > 1:
            axes.legend(fontsize=8, frameon=False)
    figure.suptitle(report["title"], fontsize=11)
    file = folder / f"{report['name']}.png"
    figure.savefig(file, dpi=130)
    plt.close(figure)
    return file


def _bars(axes: Axes, chart: dict[str, Any]) -> None:
    series = chart["series"]
    width = GROUP_WIDTH / len(series)
    for number, (name, values) in enumerate(series.items()):
        offset = (number - (len(series) - 1) / 2) * width
        places = [place + offset for place in range(len(values))]
        bars = axes.bar(places, values, width * 0.94, label=name, color=COLOURS[number % len(COLOURS)])
        axes.bar_label(bars, labels=[_short(value) for value in values], fontsize=7, padding=2)
    axes.margins(y=0.15)
    long = sum(len(str(label)) for label in chart["x"]) > 40
    axes.set_xticks(range(len(chart["x"])), chart["x"], fontsize=8, rotation=20 if long else 0)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _lines(axes: Axes, chart: dict[str, Any]) -> None:
    for number, (name, values) in enumerate(chart["series"].items()):
        axes.plot(chart["x"], values, marker="o", markersize=3, label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_ylim(0, 1.2 * max(value for values in chart["series"].values() for value in values))


def main() -> None:
    """Draw the report that the command line names."""
    report, folder = Path(sys.argv[1]), Path(sys.argv[2])
    print(draw(json.loads(report.read_text()), folder))


if __name__ == "__main__":
    main()
