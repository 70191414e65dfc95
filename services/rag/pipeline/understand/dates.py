"""Dates in plain words: the time that a question asks for, as a half-open range of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

FIRST_YEAR = 1990
"""Four digits below are more often a quantity than the year of a document."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_ORDINAL = r"(?:st|nd|rd|th)?"
_UNITS = r"tokens?|bytes?|[kmg]i?b|ms|(?:milli)?seconds?|minutes?|hours?|users?|requests?|dollars?|words?"
# "in 2048 tokens" is a quantity, and "2026-03-14" is not the year 2026.
_END = rf"(?![\w-])(?!\s+(?:{_UNITS})\b)"


def _date_pattern(group: str) -> str:
    """Pattern of a year, quarter, month or day; its parts are groups called `group` + part + number of the form."""
    return (
        rf"(?:(?P<{group}y1>\d{{4}})-(?P<{group}m1>\d{{1,2}})(?:-(?P<{group}d1>\d{{1,2}}))?"
        rf"|(?:(?P<{group}d2>\d{{1,2}}){_ORDINAL}\s+)?(?P<{group}m2>{_MONTH}),?\s+(?P<{group}y2>\d{{4}})"
        rf"|(?P<{group}m3>{_MONTH})\s+(?P<{group}d3>\d{{1,2}}){_ORDINAL},?\s+(?P<{group}y3>\d{{4}})"
        rf"|q(?P<{group}q4>[1-4])\s+(?P<{group}y4>\d{{4}})"
        rf"|(?P<{group}y5>\d{{4}}))"
    )


_RANGE = re.compile(
    rf"\b(?:between\s+{_date_pattern('a')}\s+and|from\s+{_date_pattern('b')}\s+(?:to|until|till|through))"
    rf"\s+{_date_pattern('c')}{_END}",
    re.IGNORECASE,
)
_BOUND = re.compile(
    rf"\b(?P<word>in|during|on|of|from|since|after|before|until|till|through|up\s+to)\s+"
    rf"(?:the\s+year\s+)?{_date_pattern('a')}{_END}(?P<onwards>\s+on(?:wards?)?\b)?",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"\b(?P<which>this|last)\s+(?P<unit>year|month)\b", re.IGNORECASE)

Days = tuple[date | None, date | None]


@dataclass(frozen=True)
class _Period:
    """Days from `first` on, before `end`."""

    first: date
    end: date


def asked_dates(query: str, today: date) -> Days:
    """The range of days that a question asks for: from the first one on, before the second one.

    Read are years, months, quarters and days after "in", "on", "during", "of", "from", "since", "after", "before",
    "until" and "between", and "this" or "last" year or month. Years before 1990 or beyond the next are no dates. Bounds
    of several phrases are intersected; phrases that contradict each other count as none.

    Args:
        query: the question.
        today: the day on which it is asked.
    """
    ranges = [*_ranges(query, today), *_bounds(query, today), *_relative(query, today)]
    after = max((first for first, _ in ranges if first), default=None)
    before = min((end for _, end in ranges if end), default=None)
    if after and before and after >= before:
        return None, None
    return after, before


def _ranges(query: str, today: date) -> list[Days]:
    found: list[Days] = []
    for match in _RANGE.finditer(query):
        first = _period(match, "a", today) or _period(match, "b", today)
        last = _period(match, "c", today)
        if first and last:
            found.append((first.first, last.end))
    return found


def _bounds(query: str, today: date) -> list[Days]:
    found: list[Days] = []
    for match in _BOUND.finditer(_RANGE.sub(" ", query)):
        period = _period(match, "a", today)
        if period is None:
            continue
        word = match["word"].casefold()
        if word == "since" or (word == "from" and match["onwards"]):
            found.append((period.first, None))
        elif word == "after":
            found.append((period.end, None))
        elif word == "before":
            found.append((None, period.first))
        elif word in ("until", "till", "through") or word.startswith("up"):
            found.append((None, period.end))
        else:
            found.append((period.first, period.end))
    return found


def _relative(query: str, today: date) -> list[Days]:
    found: list[Days] = []
    for match in _RELATIVE.finditer(query):
        this = _months(today.year, 1, 12) if match["unit"].casefold() == "year" else _months(today.year, today.month, 1)
        if match["which"].casefold() == "last":
            day = this.first - timedelta(days=1)
            this = _months(day.year, 1, 12) if match["unit"].casefold() == "year" else _months(day.year, day.month, 1)
        found.append((this.first, this.end))
    return found


def _period(match: re.Match[str], group: str, today: date) -> _Period | None:
    groups = match.groupdict()
    # Whatever form matched, only its groups are set; the part is the letter between the group's name and the form.
    parts = {name[-2]: text for name, text in groups.items() if name[:-2] == group and text is not None}
    year = int(parts.get("y", 0))
    if not FIRST_YEAR <= year <= today.year + 1:
        return None
    if "q" in parts:
        return _months(year, 3 * int(parts["q"]) - 2, 3)
    if "m" not in parts:
        return _months(year, 1, 12)
    month = parts["m"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].casefold()) + 1
    try:
        if "d" not in parts:
            return _months(year, number, 1)
        day = date(year, number, int(parts["d"]))
        return _Period(day, day + timedelta(days=1))
    except ValueError:
        return None


def _months(year: int, month: int, count: int) -> _Period:
    last = month + count - 1  # from 0: the month after the period
    return _Period(date(year, month, 1), date(year + last // 12, last % 12 + 1, 1))
