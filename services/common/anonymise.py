"""Removal of personal data and secrets from text that leaves the process.

Every pattern is linear in the length of the text, also for hostile text: a run of characters is entered at its start
only (look-behind) and without backtracking (possessive repeats), or the work at each position is bounded. Configured
patterns must follow the second rule: they are refused unless an upper bound of the work per character is small.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence

# The parser of `re`, which is not documented: no other has exactly the syntax of the engine.
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Literal, get_args

Kind = Literal["email", "phone", "key"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MAX_WORK = 10_000
"""Most steps of a configured pattern at one character: the number of ways to match times the longest match."""
MAX_DEPTH = 12
"""Nesting of a value beyond which `HIDDEN` takes its place."""
HIDDEN = "[not recorded]"

Replace = Callable[[str], str]

_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@(?=[^\W_])[\w-]++(?:\.[\w-]++)++")
# With an international prefix, a national zero or a separate area code: other long numbers are seldom telephone
# numbers.
_PHONE = re.compile(
    # Some UUIDs begin with as many digits: ids of traces and requests must be found again.
    r"(?<![\w+.-])(?![0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-]))"
    r"(?:(?:\+\d|\(\+?\d|0\d|00\d)[\d ()./-]{5,22}\d(?!\w)"
    r"|(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\w))"
)
_DATE = re.compile(r"\d{1,4}[./ -]\d{1,2}[./ -]\d{1,4}")
_PHONE_DIGITS = range(7, 16)
# Well-known prefixes, JSON web tokens, private keys, and values after words such as "password".
_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\w+/=:,\s]*+(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
    r"|(?<![\w-])(?:eyJ[\w-]++\.[\w-]++\.[\w-]*+"
    r"|(?:sk|pk|rk|twin|hf|glpat|gh[opsur]|github_pat|xox[abeoprs])[-_][\w-]{16,}+"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35})"
    r"|(?i:(?<![a-z])(?:api[_-]?key|access[_-]?key|secret|token|password|passwd|bearer))"
    r"[\"']?(?:\s{0,3}[:=]\s{0,3}|(?<=[Bb]earer)\s{1,3})[\"']?(?!\[)[^\s\"',;]{6,}+"
)


class PatternRefused(ValueError):
    """A configured pattern is wrong, or its work is not bounded; the message says how to write it."""


class Anonymiser:
    """Replaces personal data and secrets by their kind in square brackets; safe to share between threads."""

    def __init__(self, kinds: Sequence[Kind] = KINDS, patterns: Mapping[str, str] | None = None) -> None:
        """Compile the patterns.

        Args:
            kinds: built-in kinds to replace.
            patterns: configured ones: name, which replaces a match, and regular expression.

        Raises:
            PatternRefused: naming the pattern and its problem.
        """
        configured = {name: bounded(name, pattern) for name, pattern in (patterns or {}).items()}
        replacements: dict[Kind, Replace] = {
            # Keys may contain what looks like a telephone number, and a URL with a password what looks like an address.
            "key": lambda text: _KEY.sub("[key]", text),
            "email": lambda text: _EMAIL.sub("[email]", text) if "@" in text else text,
            "phone": lambda text: _PHONE.sub(_phone, text),
        }
        self._steps: list[Replace] = [_replacement(name, pattern) for name, pattern in configured.items()]
        self._steps += [step for kind, step in replacements.items() if kind in kinds]

    def text(self, text: str) -> str:
        """The text with its personal data and secrets replaced; linear in its length."""
        for step in self._steps:
            text = step(text)
        return text

    def value(self, value: Any, depth: int = 0) -> Any:
        """`text` applied to every string in nested mappings, lists and tuples, but not to keys."""
        if isinstance(value, str):
            return self.text(value)
        if not self._steps or isinstance(value, bool | int | float | None):
            return value
        if depth > MAX_DEPTH:
            return HIDDEN
        if isinstance(value, Mapping):
            return {name: self.value(found, depth + 1) for name, found in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(found, depth + 1) for found in value]
        return value


class DebugFilter(logging.Filter):
    """Anonymises log records of the level DEBUG: only they may contain text of callers."""

    def __init__(self, anonymiser: Anonymiser) -> None:
        super().__init__()
        self._anonymiser = anonymiser

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the message and what was passed as `extra`; the record always passes."""
        if record.levelno > logging.DEBUG:
            return True
        record.msg, record.args = self._anonymiser.text(record.getMessage()), None
        for name in vars(record).keys() - _STANDARD:
            setattr(record, name, self._anonymiser.value(getattr(record, name)))
        return True


_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def bounded(name: str, pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose work at every character of a text has a small upper bound.

    Raises:
        PatternRefused: naming the pattern and its problem.
    """
    try:
        parsed = _parser.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternRefused(f"Pattern {name!r} is not a regular expression: {error}.") from None
    ways = _ways(name, parsed)
    shortest, longest = parsed.getwidth()
    if shortest == 0:
        raise PatternRefused(f"Pattern {name!r} matches the empty text, which is everywhere.")
    if ways * longest > MAX_WORK:
        raise PatternRefused(
            f"Pattern {name!r} may take {ways * longest} steps at each character, at most {MAX_WORK} are accepted: "
            "make its repeats shorter or fixed, like \\d{8}."
        )
    return compiled


def _ways(name: str, parsed: Any) -> int:
    """Upper bound of the ways in which a pattern can match at one position."""
    ways = 1
    for code, argument in parsed:
        ways *= _ways_of(name, code, argument)
        if ways > MAX_WORK:
            break  # enough to refuse it; the exact number may be huge
    return ways


def _ways_of(name: str, code: Any, argument: Any) -> int:
    if code in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        least, most, repeated = argument
        if most is _constants.MAXREPEAT or most > MAX_WORK:
            raise PatternRefused(f"Pattern {name!r} repeats without a bound: write {{1,20}} where it has + or *.")
        inner = _ways(name, repeated)
        return most - least + 1 if inner == 1 else sum(inner**times for times in range(least, min(most, 64) + 1))
    if code is _constants.BRANCH:
        return sum(_ways(name, branch) for branch in argument[1])
    if code is _constants.SUBPATTERN:
        return _ways(name, argument[-1])
    if code is _constants.ATOMIC_GROUP:
        return _ways(name, argument)
    if code in _SIMPLE:
        return 1
    raise PatternRefused(f"Pattern {name!r} refers to groups or looks around, whose work is not bounded here.")


_SIMPLE = frozenset(
    {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.AT, _constants.CATEGORY}
)


def _replacement(name: str, pattern: re.Pattern[str]) -> Replace:
    return lambda text: pattern.sub(lambda _: f"[{name}]", text)


def _phone(found: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in found[0])
    return "[phone]" if digits in _PHONE_DIGITS and not _DATE.fullmatch(found[0]) else found[0]
