"""Which traces, samples and ratings an answer is owed after a fault."""

from __future__ import annotations

from twin.local.faults.accounting import Owed
from twin.local.faults.calls import FEEDBACK, WHOLE, Call


def call(trace_id: str, ended: float, *, seen: str = WHOLE, kind: str = "rag", sampled: bool = False) -> Call:
    return Call(kind, ended - 1, ended, seen, trace_id, sampled)


def test_whole_answers_are_owed_their_trace_and_accepted_ratings_their_score() -> None:
    calls = [
        call("a", 10, sampled=True),
        call("b", 20),
        call("b", 21, kind=FEEDBACK),
        call("a", 22, kind=FEEDBACK, seen="monitoring_unavailable"),
        call("c", 30, seen="retrieval_unavailable", sampled=True),
    ]
    assert Owed.of(calls, 15, 0) == Owed(frozenset({"a", "b"}), frozenset({"a"}), frozenset({"b"}))


def test_only_what_waited_in_the_killed_process_is_excused() -> None:
    calls = [call(name, ended, sampled=True) for name, ended in (("early", 90), ("waiting", 98), ("later", 120))]
    calls.append(call("waiting", 98.5, kind=FEEDBACK))
    owed = Owed.of(calls, struck_at=100, lost_seconds=5)
    assert owed.traces == owed.samples == {"early", "later"}
    assert not owed.feedback


def test_what_arrived_is_not_missing() -> None:
    owed = Owed(frozenset("ab"), frozenset("a"), frozenset("b"))
    left = owed.without(Owed(frozenset("bz"), frozenset("a"), frozenset()))
    assert left == Owed(frozenset("a"), frozenset(), frozenset("b"))
    assert left
    assert not owed.without(owed)
