"""Programs that some tests need and set-up does not bring: found, or their tests are skipped.

In CI, or with `--require-all`, a missing program fails its tests instead.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

INSTALL = "scripts/install_test_programs.sh"


@dataclass(frozen=True)
class Program:
    """A program that tests run.

    Attributes:
        tested: what is not tested without it.
        commands: its names; the first that is found is used.
        variable: the environment variable that may hold its path.
    """

    name: str
    tested: str
    commands: tuple[str, ...]
    variable: str = ""

    @property
    def missing(self) -> str:
        """The reason of a skip or failure."""
        return f"{self.name} is not installed: `{INSTALL}` installs it"


# The shell first: it is the smallest, and starts fastest. Each is Chromium.
CHROMIUM = Program(
    "Chromium",
    "browser pages",
    ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
    "CHROMIUM_PATH",
)
PROMETHEUS = Program("Prometheus", "Prometheus rules and dashboard", ("prometheus",))
PROMTOOL = Program("promtool", PROMETHEUS.tested, ("promtool",))
PROGRAMS = (CHROMIUM, PROMETHEUS, PROMTOOL)


def path_of(program: Program, config: pytest.Config) -> str:
    """Path of a program; without it the test that asks is skipped, or fails where everything is required."""
    path = os.environ.get(program.variable) or next(filter(None, map(shutil.which, program.commands)), None)
    if path is not None:
        return path
    if config.getoption("require_all"):
        pytest.fail(program.missing, pytrace=False)
    pytest.skip(program.missing)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-all",
        action="store_true",
        default=os.environ.get("CI", "").lower() in ("1", "true"),
        help="fail the tests whose programs (Chromium, Prometheus) are not installed; the default where CI=true",
    )


# Around all others, so that the line is the last before pytest's own.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Say in one line what was not tested and how that changes, in the place of a line for each of these tests."""
    tested_with = {program.missing: program.tested for program in PROGRAMS}
    skipped = terminalreporter.stats.get("skipped", [])
    missed = [report for report in skipped if _reason(report) in tested_with]
    terminalreporter.stats["skipped"] = [report for report in skipped if report not in missed]
    yield
    terminalreporter.stats["skipped"] = skipped
    if missed:
        counts = Counter(tested_with[_reason(report)] for report in missed)
        listed = ", ".join(f"{tested} ({count} test{'s' * (count != 1)})" for tested, count in sorted(counts.items()))
        terminalreporter.write_line(f"Not tested: {listed}. `{INSTALL}` brings what they need.", yellow=True)


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped; pytest keeps it after the place."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return reason.removeprefix("Skipped: ")
