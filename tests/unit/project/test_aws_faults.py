"""docs/aws-faults.md names rules of the catalogue and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from localcloud.emulator.rules.catalogue import RULES

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "aws-faults.md"
NONE = "-"
HEADS = ("fault", "---")


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [
        cells for line in lines if (cells := [each.strip() for each in line.strip("|").split(" | ")])[0] not in HEADS
    ]


def _tests_of(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {each.name for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", _rows(), ids=lambda row: re.sub(r"\W+", "-", row[0])[:60])
def test_a_fault_has_a_source_and_a_test_that_exists(row: list[str]) -> None:
    _, rule, source, test = row
    assert rule == NONE or rule.strip("`") in {each.name for each in RULES}
    assert source
    file, _, name = test.strip("`").partition("::")
    assert name.startswith("test_")
    assert name in _tests_of(ROOT / "tests" / file)


def test_no_fault_is_listed_twice() -> None:
    faults = [row[0] for row in _rows()]
    assert len(faults) == len(set(faults)) > 40
