"""`twin ci scores`, `gate`: how good a release is, and whether that is good enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.target.paths import RETRIEVAL_QUESTIONS
from twin.terminal.options import StageOption, progress

app = typer.Typer()


@app.command()
def scores(
    out: Annotated[Path, typer.Option(help="File to write.")],
    stage: StageOption = "local",
    file: Annotated[Path, typer.Option(help="Labelled questions.")] = RETRIEVAL_QUESTIONS,
    dataset: Annotated[
        str, typer.Option(envvar="DATASET", help="Dataset in Opik whose questions are evaluated as well.")
    ] = "",
    concurrency: Annotated[int, typer.Option(help="Questions at the same time.", min=1, max=64)] = 4,
) -> None:
    """Ask the stage every labelled question, and those of a dataset, and write the scores of each."""
    from twin.ci.scores import measure
    from twin.target.stage import connect

    target = connect(stage)
    found = measure(target, file, concurrency)
    if dataset:
        from twin.target import opik_sdk

        opik_sdk.disable_reporting()
        from twin.evaluate.offline import OfflineEvaluation, evaluate_offline
        from twin.evaluate.offline_report import goodness

        found |= goodness(evaluate_offline(target, OfflineEvaluation(dataset, concurrency=concurrency), progress))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"scores": found}, indent=1), encoding="utf-8")


@app.command()
def gate(
    base: Annotated[Path, typer.Option(help="Scores that must not be undercut.")],
    head: Annotated[Path, typer.Option(help="Scores of the candidate.")],
) -> None:
    """Exit 1 when the candidate's scores regressed, naming the samples; without a base there is nothing to undercut."""
    from twin.ci.scores import gate as judge
    from twin.ci.scores import read
    from twin.target.github_job import append_step_summary

    candidate = read(head)
    if not base.exists():
        append_step_summary("Evaluation gate: **nothing to compare with**; these scores become the first base.")
        progress(f"{base} does not exist: there is nothing to compare with.")
        return
    reasons = judge(read(base), candidate)
    append_step_summary("\n".join(f"- {reason}" for reason in reasons) or "Evaluation gate: passed.")
    if reasons:
        raise TwinError(f"The evaluation gate is closed: {'; '.join(reasons)}.")
