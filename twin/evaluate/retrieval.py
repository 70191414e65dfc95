"""`twin evaluate-rag`: how well a stage's retrieval finds what labelled questions ask for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from twin.target.errors import TwinError
from twin.target.paths import ROOT
from twin.target.program import running
from twin.target.stage import Stage
from twin.target.vector_store import store_environment

PROGRAM = "services.rag.evaluate_retrieval"
SERVED = "service"
"""The mode that callers get, which thresholds are about."""


def evaluate_rag(stage: Stage, file: Path) -> dict[str, Any]:
    """Run the labelled questions of `file` through the stage's store; returns the program's report.

    Raises:
        TwinError: with the program's own sentence.
    """
    report: dict[str, Any] | None = None
    said: list[str] = []
    command = [sys.executable, "-m", PROGRAM, str(file.resolve()), "--progress-json"]
    # On standard error: `--json` into a file or a pipe still shows how far it is.
    with (
        running(command, cwd=ROOT, env=store_environment(stage, writes=False)) as process,
        Progress(console=Console(stderr=True), transient=True) as bar,
    ):
        task = bar.add_task("Searching", total=None)
        for line in process.stdout or ():
            parsed = _parsed(line)
            if parsed is None:
                said.append(line.strip())
            elif "modes" in parsed:
                report = parsed
            else:
                bar.update(task, completed=parsed["done"], total=parsed["total"])
        code = process.wait()
    if code != 0 or report is None:
        raise TwinError(" ".join(line for line in said if line) or f"The evaluation ended with exit code {code}.")
    return report


def missed(report: Mapping[str, Any], least: Mapping[str, float]) -> list[str]:
    """A sentence for each figure of the served mode that is below its threshold.

    Raises:
        TwinError: the report has no such figure.
    """
    means: dict[str, float] = report["modes"][SERVED]["means"]
    if unknown := sorted(least.keys() - means.keys()):
        raise TwinError(f"There is no figure {unknown[0]}: use one of {', '.join(means)}.")
    return [
        f"{figure} is {means[figure]:.4f}, below {value:g}" for figure, value in least.items() if means[figure] < value
    ]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) and ("modes" in parsed or {"done", "total"} <= parsed.keys()) else None
