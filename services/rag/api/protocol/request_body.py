"""Bases of request bodies: their text can be encoded as UTF-8, and many unknown fields are one error.

JSON can name half of a surrogate pair (`"\\ud800"`). Python keeps it, and whatever later writes the text out as UTF-8
fails: the clients of the model and the store, the log, and the answer that quotes the name of a field.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

_PROBLEM = PydanticCustomError("not_unicode", "must be valid Unicode: half of a surrogate pair is none")

# A step down into the body and the one before it. A whole path is made only for the text that is reported: copying
# paths on the way would make a small, deeply nested body expensive.
Step = tuple["Step", str | int] | None


MAX_NAMED = 5
"""Unknown fields that an error names; a body of some kilobytes may hold thousands."""


class NoUnknownFields(BaseModel):
    """Base of objects that refuse unknown fields: with one error, however many there are."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown_fields(cls, value: Any) -> Any:
        unknown = [name for name in value if name not in cls.model_fields] if isinstance(value, dict) else []
        if len(unknown) > MAX_NAMED:
            raise PydanticCustomError("extra_forbidden", "{count} fields are unknown", {"count": len(unknown)})
        return value


class RequestBody(BaseModel):
    """Base of all request bodies: its texts and the names of its fields are valid Unicode."""

    @model_validator(mode="before")
    @classmethod
    def _valid_unicode(cls, value: Any) -> Any:
        found = None if _is_unicode(value) else _invalid(value)
        if found is not None:
            raise ValidationError.from_exception_data(
                cls.__name__, [InitErrorDetails(type=_PROBLEM, loc=found, input=None)]
            )
        return value


def _is_unicode(value: Any) -> bool:
    """Whether all texts can be encoded; False also where that cannot be told so quickly.

    A body of 64 KiB may hold 20,000 values. To write it out again takes a tenth of the time of looking at each.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):  # half of a surrogate pair is a ValueError
        return False
    return True


def _invalid(value: Any) -> tuple[str | int, ...] | None:
    """Path to the first text that cannot be encoded, None when there is none; for a field's name, that of its object.

    No recursion: how deep a body nests is the caller's choice.
    """
    waiting: list[tuple[Step, Any]] = [(None, value)]
    while waiting:
        at, found = waiting.pop()
        if isinstance(found, str):
            if not _encodes(found):
                return _path(at)
        elif isinstance(found, dict):
            if not all(_encodes(name) for name in found):
                return _path(at)
            waiting.extend(((at, name), inner) for name, inner in found.items())
        elif isinstance(found, list):
            waiting.extend(((at, index), inner) for index, inner in enumerate(found))
    return None


def _path(at: Step) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while at is not None:
        at, name = at
        steps.append(name)
    return tuple(reversed(steps))


def _encodes(text: str) -> bool:
    if text.isascii():  # known to the string; the usual case
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
