"""Checks run at the same time, each within its limit, and say honestly what they could not see."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from twin.doctor.check import Check, Need, run
from twin.doctor.context import Context, Identity, SharedStage
from twin.doctor.finding import Finding, Status, ok

CONTEXT = Context(SharedStage("dev", "us-east-1"))


def finding(check: Check, context: Context = CONTEXT) -> Finding:
    (found,) = run([check], context)
    return found


def test_checks_run_at_the_same_time_and_answer_in_their_order() -> None:
    together = threading.Barrier(3)

    def look(_: Context) -> Iterator[Finding]:
        together.wait(30)
        yield ok(threading.current_thread().name, "met the others")

    names = ["one", "two", "three"]
    found = run([Check(name, look, needs=()) for name in names], CONTEXT)
    assert [f.check for f in found] == names


def test_a_hanging_check_is_left_behind_and_hides_nothing() -> None:
    release = threading.Event()

    def hang(_: Context) -> Iterator[Finding]:
        release.wait(60)
        yield ok("slow", "woke up")

    def quick(_: Context) -> Iterator[Finding]:
        yield ok("quick", "here")

    started = time.monotonic()
    slow, fast = run([Check("slow", hang, needs=(), seconds=0.2), Check("quick", quick, needs=(), seconds=30)], CONTEXT)
    took = time.monotonic() - started
    release.set()
    assert (slow.status, slow.seen) == (Status.WARNING, "no answer within 0.2 s")
    assert fast.status is Status.OK
    assert took < 30


@pytest.mark.parametrize(
    ("need", "reason"),
    [(Need.CREDENTIALS, "skipped: no credentials"), (Need.SETTINGS, "skipped: the settings are wrong")],
)
def test_a_check_without_what_it_needs_is_skipped_unlooked(need: Need, reason: str) -> None:
    def look(_: Context) -> Iterator[Finding]:
        raise AssertionError("it looked")

    assert finding(Check("any", look, needs=(need,))) == Finding("any", Status.SKIPPED, reason)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListThings"), "ListThings"),
        (ClientError({"Error": {"Code": "InternalFailure", "Message": "oh"}}, "ListThings"), "again"),
        (httpx.ConnectError("refused"), "network"),
        (ResponseParserError("<html>Please log in</html>"), "network"),
    ],
)
def test_a_look_that_fails_is_a_warning_with_what_to_do(error: Exception, words: str) -> None:
    def look(_: Context) -> Iterator[Finding]:
        raise error

    context = Context(CONTEXT.stage, identity=Identity("1", "arn"))
    found = finding(Check("any", look, needs=(Need.CREDENTIALS,)), context)
    assert found.status is Status.WARNING
    assert words in found.fix


def test_a_mistake_of_ours_is_not_taken_for_a_finding() -> None:
    def look(_: Context) -> Iterator[Finding]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        finding(Check("any", look, needs=()))
