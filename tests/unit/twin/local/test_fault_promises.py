"""What is promised under faults: the documentation says the same, and what breaks a promise is noticed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from twin.local.faults.calls import FEEDBACK, HANG, WHOLE, Call
from twin.local.faults.drill import compared
from twin.local.faults.promises import BALANCER, BROKEN_OFF, NOT_DRILLED, PARTS, PROMISES, Promise, chosen, table
from twin.local.faults.view import as_json, kept, show
from twin.target.errors import TwinError

DOCS = Path(__file__).resolve().parents[4] / "docs"
PROMISE = Promise("qdrant", "hang", frozenset({"retrieval_unavailable"}), within_seconds=10, back_seconds=5)


def call(seen: str, seconds: float = 1.0, kind: str = "rag") -> Call:
    return Call(kind, 100.0, 100.0 + seconds, seen, "trace")


def test_the_architecture_page_has_the_table() -> None:
    page = (DOCS / "architecture.md").read_text()
    assert table() in page, f"docs/architecture.md must have:\n{table()}"


def test_every_part_meets_every_fault_or_says_why_not() -> None:
    drilled = {promise.name for promise in PROMISES}
    left_out = {
        f"{part}: {fault}"
        for part, _, faults in (name.partition(": ") for name in NOT_DRILLED)
        for fault in faults.split(", ")
    }
    faults = ("kill", "hang", "slow", "disk full")
    assert drilled | left_out == {f"{part}: {fault}" for part in PARTS.values() for fault in faults}
    assert not drilled & left_out
    assert len(PROMISES) == len(drilled)


def test_only_documented_codes_are_promised() -> None:
    page = (DOCS / "api.md").read_text()
    promised = {code for promise in PROMISES for code in promise.answers | promise.feedback}
    assert [code for code in promised - BALANCER - {BROKEN_OFF} if f"`{code}`" not in page] == []


def test_a_kept_promise_has_nothing_broken() -> None:
    seen = compared(PROMISE, [call(WHOLE), call("retrieval_unavailable"), call(WHOLE, kind=FEEDBACK)], back=1.0)
    assert seen.broken == []
    assert seen.answers == Counter({WHOLE: 1, "retrieval_unavailable": 1})
    assert kept([seen])


@pytest.mark.parametrize(
    ("found", "back", "broken"),
    [
        ([call("internal_error")], 1.0, "1 answers internal_error"),
        ([call(BROKEN_OFF), call(BROKEN_OFF)], 1.0, "2 answers cut"),
        ([call("HTTP 502")], 1.0, "1 answers HTTP 502"),
        ([call(HANG, 12)], 1.0, "1 answers hang"),
        ([call(WHOLE, 10.5)], 1.0, "1 later than 10 s"),
        ([call("monitoring_unavailable", kind=FEEDBACK)], 1.0, "1 feedback monitoring_unavailable"),
        ([call(WHOLE)], None, "no whole answer within 5 s after it"),
        ([call(WHOLE)], 5.1, "no whole answer within 5 s after it"),
    ],
)
def test_what_is_not_promised_breaks_the_promise(found: list[Call], back: float | None, broken: str) -> None:
    seen = compared(PROMISE, [*found, call(WHOLE)], back)
    assert broken in seen.broken
    assert not kept([seen])
    assert as_json([seen])["kept"] is False


def test_the_table_fits_80_columns_and_marks_what_broke(capsys: pytest.CaptureFixture[str]) -> None:
    show([compared(PROMISE, [call(WHOLE)], 1.0), compared(PROMISE, [call("internal_error")], None)])
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) == 80
    assert sum("BROKEN Qdrant" in line for line in shown) == 1


def test_a_part_or_one_of_its_faults_is_chosen() -> None:
    assert chosen("") == PROMISES
    assert {promise.part for promise in chosen("opik")} == {"opik"}
    assert [promise.name for promise in chosen("opik:disk full")] == ["Opik: disk full"]


@pytest.mark.parametrize("wrong", ["slack", "aws:kill", "qdrant:flood"])
def test_a_drill_that_does_not_exist_is_one_sentence(wrong: str) -> None:
    with pytest.raises(TwinError, match="There is no drill"):
        chosen(wrong)
