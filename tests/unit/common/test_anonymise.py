"""Anonymisation: removed and kept text, and its cost for hostile text."""

from __future__ import annotations

import logging
import random
import time
import uuid

import pytest

from services.common.anonymise import Anonymiser, DebugFilter, PatternRefused, bounded

ALL = Anonymiser()
LENGTH = 200_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ada.quill+x@mail.example.org.", "write to [email]."),
        ("<jörg@bücher.example>", "<[email]>"),
        ("call +44 20 7946 0958 now", "call [phone] now"),
        ("call (030) 901820 or 555-010-4477", "call [phone] or [phone]"),
        # pragma: allowlist nextline secret - made up; the code under test removes it
        ("key sk-abcdefghijklmnopqrstuv, AKIAIOSFODNN7EXAMPLE", "key [key], [key]"),
        ("password=hunter2hunter2 next", "[key] next"),
        ("Authorization: Bearer abc.def-123456", "Authorization: [key]"),
        # pragma: allowlist nextline secret - made up; the code under test removes it
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nend", "[key]\nend"),
    ],
)
def test_what_identifies_or_opens_is_replaced(text: str, expected: str) -> None:
    assert ALL.text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-15 at 10:30, and on 01.02.2024",
        "version 1.22.333, 4096 tokens, order 1000000007",
        "the @decorator of user@localhost",
        "a token bucket and a secret garden",
        "trace 0190d5a6-7a2b-7c3d-8e4f-123456789abc",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert ALL.text(text) == text


def test_values_are_cleaned_wherever_they_are() -> None:
    found = Anonymiser(("email",), {"customer": r"C-\d{6}"}).value(
        {"a": ["C-123456", {"b": ("x@y.example", 3, None, True)}], "phone": "+44 20 7946 0958"}
    )
    assert found == {"a": ["[customer]", {"b": ["[email]", 3, None, True]}], "phone": "+44 20 7946 0958"}


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a@",
        "a.",
        "a@a.",
        "0 ",
        "+1",
        "(0",
        "eyJ",
        "eyJa.",
        "sk-",
        # pragma: allowlist nextline secret - made up; the code under test removes it
        "-----BEGIN PRIVATE KEY-----",
        "token=",
        "key:",
        " ",
    ],
)
def test_the_cost_is_linear_in_text_made_to_be_slow(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        best = float("inf")
        for _ in range(3):
            started = time.process_time()
            ALL.text(text)
            best = min(best, time.process_time() - started)
        return best

    # Eight times the text: quadratic work would take 64 times as long.
    assert seconds(LENGTH) < 30 * max(seconds(LENGTH // 8), 0.001)


@pytest.mark.parametrize("pattern", [r"C-\d{6}", r"(?:AB|CD)-[A-Z0-9]{1,20}", r"\bcase \d{4,12}\b", r"[^ ]{8}"])
def test_bounded_patterns_are_taken(pattern: str) -> None:
    assert bounded("own", pattern).pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\d+", "without a bound"),
        (r"(a{1,9}){1,9}$", "steps"),
        (r"(a|a){30}b", "steps"),
        (r"a{1,200}b{0,200}", "steps"),
        (r"(a)\1", "refers"),
        (r"(?=a)b", "looks around"),
        (r"a{0,3}", "everywhere"),
        (r"(", "not a regular expression"),
    ],
)
def test_patterns_whose_work_is_not_bounded_are_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternRefused, match=why):
        bounded("own", pattern)


def test_debug_records_are_cleaned_and_others_are_not() -> None:
    clean = DebugFilter(ALL)
    record = logging.makeLogRecord({"levelno": logging.DEBUG, "msg": "from %s", "args": ("a@b.example",)})
    record.body = {"to": "c@d.example"}
    assert clean.filter(record) and record.getMessage() == "from [email]"
    assert vars(record)["body"] == {"to": "[email]"}
    other = logging.makeLogRecord({"levelno": logging.INFO, "msg": "a@b.example"})
    assert clean.filter(other) and other.getMessage() == "a@b.example"


def test_an_id_is_no_telephone_number() -> None:
    numbers = random.Random(20261129)
    ids = [str(uuid.UUID(int=numbers.getrandbits(128))) for _ in range(20_000)]
    # The beginnings that look most like one.
    ids += ["01234567-8901-4234-8567-890123456789", "00491701-2345-4678-9012-345678901234", *map(str.upper, ids[:100])]
    clean = Anonymiser(("phone",))
    assert [each for each in ids if clean.text(each) != each] == []
    assert clean.value({"request_id": ids[-1], "error": f"trace {ids[0]} is late"})["error"].endswith("is late")


@pytest.mark.parametrize("number", ["01234567-8901-42", "0171 2345678", "01234567-8901"])
def test_the_beginning_of_a_uuid_alone_is_a_number(number: str) -> None:
    assert Anonymiser(("phone",)).text(f"call {number}") == "call [phone]"
