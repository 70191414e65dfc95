"""What AWS does that is no refusal: behaviours.toml, for docs/aws-rules.md."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from localcloud.emulator.rules.rule import Certainty

FILE = Path(__file__).with_name("behaviours.toml")


@dataclass(frozen=True)
class Behaviour:
    """One thing that AWS does.

    Attributes:
        name: in words joined by hyphens, unique.
        where: the part of AWS.
        does: what it does, as half a sentence for the table.
        applied: how the local cloud does it.
        source: address of the page or report.
        seen: when the source was read.
        test: file below tests/integration/emulator that sees it.
    """

    name: str
    where: str
    does: str
    applied: str
    source: str
    seen: date
    certainty: Certainty
    test: str


BEHAVIOURS = tuple(
    Behaviour(name=name, **fields) for name, fields in tomllib.loads(FILE.read_text(encoding="utf-8")).items()
)
