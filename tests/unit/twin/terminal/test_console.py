"""Text of others in a terminal."""

from __future__ import annotations

import pytest

from twin.terminal.console import print_table, printable


def test_control_characters_are_left_out_and_the_text_stays() -> None:
    assert printable("a\x1b[2Jb\x07\x9b c\n\td\r Grüße ığŞ") == "a[2Jb c\n\td Grüße ığŞ"


def test_a_table_shows_no_control_character_and_obeys_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Documents", ("title",), [("\x1b]0;other title\x07[red]Kettles[/red]",)])
    shown = capsys.readouterr().out
    assert "\x1b]0" not in shown and "\x07" not in shown
    assert "[red]Kettles[/red]" in shown
