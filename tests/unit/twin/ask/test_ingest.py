"""What the command makes of the lines that the program says, here or in a task's log."""

from __future__ import annotations

import json

import pytest
from rich.progress import Progress

from twin.ask.ingest import Output
from twin.target.errors import TwinError

REPORT = {"added": 1, "chunks_written": 2, "skipped_reasons": {"empty": 1}}


def taken(*lines: str | dict[str, object]) -> tuple[Output, Progress]:
    output, bar = Output(), Progress(disable=True)
    bar.add_task("x", total=None)
    for line in lines:
        output.take(line if isinstance(line, str) else json.dumps(line), bar)
    return output, bar


def test_progress_skipped_files_and_the_report_are_told_apart() -> None:
    skipped = {"id": "a.md", "reason": "empty"}
    output, bar = taken({"done": 0, "total": 9}, {"done": 4, "total": 9}, {"skipped": skipped}, "Hm.\n", REPORT)
    assert (bar.tasks[0].completed, bar.tasks[0].total) == (4, 9)
    assert output.finish(0) == {**REPORT, "skipped": [skipped]}


@pytest.mark.parametrize(
    ("lines", "code", "why", "sentence"),
    [
        (("Ingest failed: no.\n", {"done": 1, "total": 2}), 1, "", r"^Ingest failed: no\.$"),
        ((), 137, "OutOfMemoryError", r"^Ingest ended with exit code 137 \(OutOfMemoryError\)\.$"),
        ((), None, "CannotPullContainerError", r"^The task never ran: CannotPullContainerError\.$"),
        (({"done": 2, "total": 2},), 0, "", r"^Ingest is done, but its report was lost\.$"),
    ],
)
def test_what_went_wrong_is_a_sentence(
    lines: tuple[str | dict[str, object], ...], code: int | None, why: str, sentence: str
) -> None:
    with pytest.raises(TwinError, match=sentence):
        taken(*lines)[0].finish(code, why)
