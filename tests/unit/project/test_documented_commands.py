"""Every `twin ...`, `make ...` and `python -m ...` of README.md and docs/ exists, with options and arguments."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from twin.app import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SEPARATORS = {"&&", "||", "|", ";", "&"}
ELLIPSIS = {"...", "…"}
MODULE = re.compile(r"python -m ((?:benchmarks|localcloud|scripts|services)[\w.]*)")
REDIRECTION = re.compile(r"\d?[<>]")
ARITHMETIC = re.compile(r"\$\(\(.*?\)\)")


class Command(NamedTuple):
    """A command of a page.

    Attributes:
        words: as the shell would split it.
        variables: set before it for this command alone, as `NAME=value`.
        whole: whether it stands on a line of its own, to be copied; a command in a sentence may leave arguments out.
    """

    page: str
    words: tuple[str, ...]
    variables: tuple[str, ...]
    whole: bool


def documented(page: Path) -> Iterator[Command]:
    """Commands in code blocks, then those in sentences."""
    text = page.read_text(encoding="utf-8")
    fenced = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    prose = FENCE.sub("", text)
    indented = [line for line in prose.splitlines() if line.startswith("    ")]
    for line in (*fenced, *indented):
        for words, variables in simple_commands(line.strip().removeprefix("$ ")):
            yield Command(page.name, words, variables, whole=True)
    for span in SPAN.findall("\n".join(line for line in prose.splitlines() if not line.startswith("    "))):
        for words, variables in simple_commands(" ".join(span.split())):
            yield Command(page.name, words, variables, whole=False)


def simple_commands(line: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The `twin` and `make` commands of a line of shell, each with the assignments before it."""
    if not re.search(r"(^|[\s=])(twin|make)\s", line):
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if word not in SEPARATORS:
            words.append(word)
            continue
        variables = tuple(itertools.takewhile(ASSIGNMENT.match, words))
        command = tuple(itertools.takewhile(lambda each: not REDIRECTION.match(each), words[len(variables) :]))
        if command and command[0] in ("twin", "make"):
            yield command, variables
        words = []


def refusal(arguments: list[str], *, whole: bool) -> str:
    """Why `twin` would refuse these arguments before it does any work; empty when it would not."""
    if arguments[-1:] == ["--help"]:
        arguments = arguments[:-1]
    command: Any = typer.main.get_command(app)
    name, context = "twin", None
    while hasattr(command, "commands"):
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
        if not arguments:
            return ""
        name, *arguments = arguments
        if name in ELLIPSIS and not whole:
            return ""
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    try:
        command.make_context(name, arguments, parent=context)
    except Exception as error:
        # The classes of typer's usage errors are not part of its public interface.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        message = str(format_message())
        left_out = type(error).__name__ == "MissingParameter" or message.endswith("requires an argument.")
        return "" if left_out and not whole else message
    return ""


def recipe(arguments: list[str]) -> list[tuple[str, ...]]:
    """The `twin` commands that a `make` command would run.

    Raises:
        AssertionError: make knows no such target.
    """
    # Variables of the developer's shell, such as ARGS, must not decide what is checked.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    dry = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert dry.returncode == 0, dry.stderr
    shown = ARITHMETIC.sub("1", dry.stdout.replace("\\\n", " ").replace(".venv/bin/twin ", "twin "))
    return [words for line in shown.splitlines() for words, _ in simple_commands(line) if words[0] == "twin"]


def without_ellipsis(words: tuple[str, ...]) -> list[str]:
    """The arguments of a command; `...` stays as the value of an option, and is left out elsewhere."""
    return [
        word
        for before, word in itertools.pairwise(words)
        if word not in ELLIPSIS or before.startswith("--") or before in ("twin", "make")
    ]


FOUND = {command for page in PAGES for command in documented(page)}
COMMANDS = sorted(command for command in FOUND if command.whole or command._replace(whole=True) not in FOUND)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {shlex.join(command.words)}")
def test_a_documented_command_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGE", raising=False)
    for name, _, value in (variable.partition("=") for variable in command.variables):
        monkeypatch.setenv(name, value)
    arguments = without_ellipsis(command.words)
    runs = recipe(arguments) if command.words[0] == "make" else [("twin", *arguments)]
    for _, *given in runs:
        assert refusal(list(given), whole=command.whole) == ""


MODULES = sorted({module for page in PAGES for module in MODULE.findall(page.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("module", MODULES)
def test_a_documented_module_is_a_program(module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir():
        assert (path / "__main__.py").is_file()
    else:
        assert '__name__ == "__main__"' in path.with_suffix(".py").read_text(encoding="utf-8")


def test_the_pages_name_the_main_commands() -> None:
    assert ("make", "demo") in {command.words for command in COMMANDS}
    assert len({command.words for command in COMMANDS}) > 50


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["asks", "What?"], "there is no command asks"),
        (["ask", "--stages", "dev", "What?"], "No such option: --stages"),
        (["ask"], "query"),
        (["account", "bootstrap", "--stage", "dev", "left over"], "left over"),
    ],
)
def test_a_wrong_command_would_be_found(arguments: list[str], reason: str) -> None:
    assert reason in refusal(arguments, whole=True)


def test_a_make_target_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(AssertionError, match="No rule to make target"):
        recipe(["no-such-target"])
