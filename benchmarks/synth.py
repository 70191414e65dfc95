"""Duration of the synthesis of a stage with the real command line, process start included."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.effort import Effort
from benchmarks.measure import Chart, Goal, Report
from benchmarks.processes import WORK, BenchmarkError
from twin.target import cdk
from twin.target.errors import TwinError

STAGES = ("local", "dev", "prod")
MAX_SECONDS = 10.0


def run(effort: Effort) -> Report:
    """Measure.

    Raises:
        BenchmarkError: a stage does not synthesize.
    """
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    output = WORK / "synth"
    # The first round fills the cache of the CDK's code and is not counted.
    for number in range(effort.rounds + 1):
        for stage in STAGES:
            effort.progress(f"{stage}, {number} of {effort.rounds} rounds")
            shutil.rmtree(output, ignore_errors=True)
            began = time.monotonic()
            try:
                cdk.synth(stage, {}, output)
            except TwinError as error:
                raise BenchmarkError(str(error)) from error
            if number:
                seconds[stage].append(time.monotonic() - began)
    found = {stage: median(times) for stage, times in seconds.items()}
    report = Report(
        "synth",
        "Synthesis of a stage",
        ("stage", "median s", "slowest s"),
        [(stage, f"{found[stage]:.1f}", f"{max(times):.1f}") for stage, times in seconds.items()],
    )
    report.goals = [
        Goal(f"seconds to synthesize {stage}", figure, MAX_SECONDS, unit="s") for stage, figure in found.items()
    ]
    series: dict[str, Sequence[float]] = {
        "median": list(found.values()),
        "slowest": [max(times) for times in seconds.values()],
    }
    report.charts = [Chart("Synthesis", "bars", "stage", "s", list(found), series)]
    report.data = {"seconds": seconds}
    return report
