"""`twin export`: scored answers as data sets for fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from twin.terminal.console import console
from twin.terminal.options import StageOption

app = typer.Typer(no_args_is_help=True, help="Export scored answers for fine-tuning with TRL.")
FileArgument = Annotated[Path, typer.Argument(help="File to write.")]
ContextOption = Annotated[bool, typer.Option(help="The whole prompt with its documents, not the question alone.")]


@app.command("preferences")
def export_preferences(
    file: FileArgument,
    stage: StageOption = "local",
    margin: Annotated[float, typer.Option(help="Least distance of two scores.", min=0.01, max=1)] = 0.3,
    context: ContextOption = True,
) -> None:
    """Pairs of a better and a worse answer to the same prompt (DPO)."""
    from twin.evaluate.export import datasets

    _export(file, stage, context, "pairs", lambda answers: datasets.preferences(answers, margin))


@app.command("instructions")
def export_instructions(
    file: FileArgument,
    stage: StageOption = "local",
    at_least: Annotated[float, typer.Option(help="Least score of an answer.", min=0, max=1)] = 0.7,
    context: ContextOption = True,
) -> None:
    """The best answer to every prompt, where it is good enough (SFT)."""
    from twin.evaluate.export import datasets

    _export(file, stage, context, "instructions", lambda answers: datasets.instructions(answers, at_least))


def _export(file: Path, stage: str, with_context: bool, what: str, choose: Callable[[Any], Any]) -> None:
    from twin.evaluate.export import datasets
    from twin.target.opik_client import opik_reader
    from twin.target.stage import connect

    reader = opik_reader(connect(stage))
    answers = datasets.read(reader.api, reader.project, with_context=with_context)
    with file.open("w", encoding="utf-8") as out:
        written = datasets.write(choose(answers), out)
    console.print(f"{written} {what} of {len(answers)} scored answers are in {file}.", markup=False)
