"""Labelled questions: one JSON object per line, `{"query", "relevant": [document ids], "author"?}`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class LabelError(Exception):
    """The labelled questions cannot be used; the message says where and why."""


class LabelledQuery(BaseModel):
    """A question and the documents that answer it.

    Attributes:
        query: the question.
        relevant: ids of the documents, of which each counts the same.
        author: as a caller would send it beside the question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Text
    relevant: frozenset[Text] = Field(min_length=1)
    author: Text | None = None


def read_labels(path: Path) -> list[LabelledQuery]:
    """The questions of a file; blank lines are skipped.

    Raises:
        LabelError: the file cannot be read, holds nothing, or a line is not a labelled question.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read ({type(error).__name__}).") from None
    labels: list[LabelledQuery] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            labels.append(LabelledQuery.model_validate_json(line))
        except ValidationError as error:
            raise LabelError(f"{path}, line {number}: {_problem(error)}.") from None
    if not labels:
        raise LabelError(f"{path} holds no questions.")
    return labels


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    # The parser counts lines within the one that it got.
    if first["type"] == "json_invalid":
        return "it is not JSON"
    return f"{'.'.join(str(part) for part in first['loc']) or 'the line'}: {first['msg']}"
