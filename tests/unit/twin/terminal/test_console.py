"""Text of others in a terminal."""

from __future__ import annotations

import subprocess

import pytest

from services.common.text import without_control_characters
from tests.program import TWIN
from twin.evaluate.view import show_offline
from twin.terminal.console import console, print_table
from twin.terminal.options import progress

COMMANDS = "\x1b]0;other title\x07"


def test_control_characters_are_left_out_and_the_text_stays() -> None:
    text = "a\x1b[2Jb\x07\x9b c\n\td\r Grüße ığŞ"
    assert without_control_characters(text) == "a[2Jb c\n\td Grüße ığŞ"


def test_a_table_shows_no_control_character_and_obeys_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(f"Documents {COMMANDS}[red]x[/red]", ("title",), [(f"{COMMANDS}[red]Kettles[/red]",)])
    shown = capsys.readouterr().out
    assert "\x1b]0" not in shown and "\x07" not in shown
    assert "[red]Kettles[/red]" in shown and "[red]x[/red]" in shown


def test_lines_of_reports_progress_and_errors_hold_none(capsys: pytest.CaptureFixture[str]) -> None:
    console.print(f"a{COMMANDS}b", markup=False)
    report = {"unanswered": [{"query": f"q{COMMANDS}", "problem": "late"}], "baseline": "", "means": {}, "p10": {}}
    show_offline(report)
    progress(f"c{COMMANDS}d")
    shown = capsys.readouterr()
    assert "a]0;other titleb" in shown.out and "no answer: q]0;other title: late" in shown.out
    assert "\x07" not in shown.out + shown.err
    refused = subprocess.run([TWIN, "ask", "--stage", "x\x07\x1b[2J", "q"], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "\x07" not in refused.stderr and "\x1b" not in refused.stderr
