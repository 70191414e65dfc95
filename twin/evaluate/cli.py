"""`twin evaluate`, `evaluate-rag`, `evaluate-judges`: quality of the answers, the retrieval and the judges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.target.paths import JUDGE_PAIRS, RETRIEVAL_QUESTIONS
from twin.terminal.console import print_json
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer()


@app.command()
def evaluate(
    stage: StageOption = "local",
    full: Annotated[bool, typer.Option(help="Score all items, not only new ones.")] = False,
    dataset: Annotated[
        str, typer.Option(help="Offline: ask this dataset's questions anew instead of judging what was sampled.")
    ] = "",
    baseline: Annotated[
        str, typer.Option(help="Offline: experiment to compare with; exit 1 when a metric regressed.")
    ] = "",
    experiment: Annotated[str, typer.Option(help="Offline: name of the new experiment.")] = "",
    newest: Annotated[int, typer.Option(help="Offline: only so many of the newest items; 0: all.", min=0)] = 0,
    concurrency: Annotated[int, typer.Option(help="Offline: questions at the same time.", min=1, max=64)] = 8,
    judge: Annotated[bool, typer.Option(help="Offline: ask the judge of the stage's settings as well.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Judge the sampled answers now, or a dataset's questions.

    Without --dataset the monitoring evaluation runs. With --dataset the stage is asked the dataset's questions,
    offline; exit code 1 when the evaluation is not passed.
    """
    if dataset:
        _evaluate_offline(stage, dataset, baseline, experiment, newest, concurrency, judge, as_json)
        return
    if baseline or experiment or newest:
        raise TwinError("--baseline, --experiment and --newest are about an offline evaluation: name its --dataset.")
    from twin.evaluate import view
    from twin.evaluate.monitoring import evaluate
    from twin.target.stage import connect

    report = evaluate(connect(stage), full=full)
    print_json(report) if as_json else view.show_report(report)


def _evaluate_offline(
    stage: str, dataset: str, baseline: str, name: str, newest: int, concurrency: int, judged: bool, as_json: bool
) -> None:
    from twin.evaluate import view
    from twin.target import opik_sdk

    opik_sdk.disable_reporting()
    from twin.evaluate.offline import OfflineEvaluation, evaluate_offline
    from twin.evaluate.offline_report import gate_failure
    from twin.target.stage import connect

    evaluation = OfflineEvaluation(dataset, baseline, name, concurrency, newest, judged)
    report = evaluate_offline(connect(stage), evaluation, progress)
    print_json(report) if as_json else view.show_offline(report)
    if reason := gate_failure(report):
        raise TwinError(f"The evaluation is not passed: {reason}.")


@app.command("evaluate-rag")
def evaluate_rag(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: query, relevant document ids.", show_default="examples/retrieval.jsonl of the checkout"
        ),
    ] = RETRIEVAL_QUESTIONS,
    stage: StageOption = "local",
    at_least: Annotated[
        list[str] | None, typer.Option(help="Fail below, for example ndcg@10=0.75; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the stage's retrieval on labelled questions.

    Recall, MRR and nDCG; exit code 1 below a threshold.
    """
    from twin.evaluate import retrieval, view
    from twin.evaluate.thresholds import thresholds
    from twin.target.stage import connect

    least = thresholds(at_least or (), "--at-least", "ndcg@10=0.75")
    report = retrieval.evaluate_rag(connect(stage), file)
    missed = retrieval.missed(report, least)
    print_json({**report, "missed": missed}) if as_json else view.show_retrieval(report)
    if missed:
        raise TwinError(f"Retrieval is not as good as asked: {'; '.join(missed)}.")


@app.command("evaluate-judges")
def evaluate_judges(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines: id, task, label, query, context, answer.",
            show_default="examples/judge_pairs.jsonl of the checkout",
        ),
    ] = JUDGE_PAIRS,
    provider: Annotated[
        str, typer.Option(help="Who judges: none (free metrics only), sagemaker, bedrock or openai.")
    ] = "none",
    model: Annotated[str, typer.Option(help="The judge's model (bedrock, openai).")] = "",
    url: Annotated[str, typer.Option(help="Base address of an OpenAI-compatible API; its key in JUDGE_API_KEY.")] = "",
    endpoint: Annotated[str, typer.Option(help="SageMaker endpoint; without, the stage's own.")] = "",
    prices: Annotated[tuple[float, float], typer.Option(help="US dollars per million tokens read and written.")] = (
        0.0,
        0.0,
    ),
    concurrency: Annotated[int, typer.Option(help="Judgements at the same time.", min=1, max=64)] = 8,
    threshold: Annotated[
        list[str] | None, typer.Option(help="From which goodness, for example groundedness=0.6; may be repeated.")
    ] = None,
    stage: StageOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Measure how well judges agree with labelled answers.

    Agreement, Cohen's kappa and confusion tables.
    """
    from twin.evaluate import view
    from twin.target import opik_sdk

    opik_sdk.disable_reporting()
    from twin.evaluate import judges
    from twin.evaluate.judge_settings import judge_settings
    from twin.evaluate.thresholds import thresholds

    settings, client = judge_settings(
        {"judge_provider": provider, "judge_model": model, "judge_url": url, "judge_endpoint_name": endpoint},
        prices=prices,
        concurrency=concurrency,
        stage=stage,
    )
    report = judges.evaluate_judges(
        file,
        settings,
        client=client,
        thresholds=thresholds(threshold or (), "--threshold", "groundedness=0.6"),
        progress=progress,
    )
    print_json(report) if as_json else view.show_judges(report)
