"""Counts what the attack suites send and how it is answered; the end of a run says it in one line.

A test counts in its worker's process. The figures travel to the process that prints them in `user_properties`, which
pytest-xdist carries with a test's report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

WHOLE = os.environ.get("TWIN_ATTACKS") == "whole"
"""Whether all inputs are sent (`make test-attacks`), or the small set of `make test`."""
PROPERTY = "attacks"
MOST_SHOWN = 5


def size(small: int, whole: int) -> int:
    """How many inputs to send in this run."""
    return whole if WHOLE else small


@dataclass
class Tally:
    """What an area of attacks tried.

    Attributes:
        area: name of the test's module, as a reader of the last line would call it.
        wrong: inputs that were answered in a way that must not be, each with the reason.
        lost: inputs that were owed an answer and got none.
        longest: seconds of the longest wait for an answer.
    """

    area: str
    tried: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0

    def count(self, what: object, seconds: float, *, fault: str | None = None, lost: bool = False) -> None:
        """Count one input, with the reason when its answer was wrong."""
        self.tried += 1
        self.longest = max(self.longest, seconds)
        if lost:
            self.lost.append(f"{what!r:.300}")
        elif fault is not None:
            self.wrong.append(f"{fault}: {what!r:.300}")

    def verify(self) -> None:
        """Fail the test unless something was tried, all of it answered, and nothing answered wrong."""
        assert self.tried, "nothing was tried"
        assert (len(self.wrong), self.wrong[:MOST_SHOWN]) == (0, [])
        assert (len(self.lost), self.lost[:MOST_SHOWN]) == (0, [])


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The counts of one test, which the run's last lines include."""
    area = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", " ")
    found = Tally(area)
    yield found
    figures = {**asdict(found), "wrong": len(found.wrong), "lost": len(found.lost)}
    request.node.user_properties.append((PROPERTY, json.dumps(figures)))


class Figures:
    """Adds up the tests' counts and prints them; of use in the process that prints, harmless in a worker."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._parts += [json.loads(str(value)) for name, value in report.user_properties if name == PROPERTY]

    # Around pytest's own, so that the line comes after the list of failures.
    @pytest.hookimpl(wrapper=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Iterator[None]:
        yield
        if self._parts:
            terminalreporter.write_line(line(self._parts))


def line(parts: list[dict[str, Any]]) -> str:
    """The figures of a run as a sentence."""
    tried, wrong, lost = (sum(part[name] for part in parts) for name in ("tried", "wrong", "lost"))
    slowest = max(parts, key=lambda part: part["longest"])
    return (
        f"attacks: {tried:,} inputs tried, {wrong:,} answered wrong, {lost:,} lost, "
        f"longest wait {slowest['longest']:.2f} s ({slowest['area']})"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Figures())
