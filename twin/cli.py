"""The commands, their options and help; what they do is in `twin.commands`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.lifecycle import LocalCloudError
from twin import views
from twin.commands import ci, model
from twin.console import console, print_json, print_table
from twin.errors import TwinError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(ci.app, name="ci")
app.add_typer(model.app, name="model")

StageOption = Annotated[str, typer.Option(help="Target: local, dev, prod or an ephemeral stage.", envvar="STAGE")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def _progress(line: str) -> None:
    if sys.stderr.isatty() or not os.environ.get("TWIN_QUIET"):
        print(f"   {line}", file=sys.stderr, flush=True)


def main() -> None:
    """Run a command; what a person can mend ends as one sentence and exit code 1, Ctrl-C as 130."""
    try:
        # Without standalone mode typer hands a command's exit code back instead of exiting with it.
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is raised again by _report
        code = _report(error)
    if code == INTERRUPTED:
        print("\nInterrupted.", file=sys.stderr)
    sys.exit(code)


def _report(error: Exception) -> int:
    # Usage errors of typer know how to show themselves; their class is not part of its public interface.
    show, exit_code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(exit_code, int):
        show()
        return exit_code
    if isinstance(error, TwinError | LocalCloudError):
        print(f"Error: {error}", file=sys.stderr)
    elif isinstance(error, BotoCoreError | ClientError):
        print(f"Error: AWS refused or could not be reached: {error}", file=sys.stderr)
    elif isinstance(error, OSError) and error.filename:
        print(f"Error: {error.strerror}: {error.filename}", file=sys.stderr)
    else:
        raise error
    return 1


@app.command()
def demo(
    setup_seconds: Annotated[float, typer.Option(help="How long set-up took, for the table of times.")] = 0.0,
) -> None:
    """From nothing: deploy, ask, watch, judge, alarm, delete, proof."""
    from twin.commands.demo import Demo

    run = Demo()
    run.steps.times.append(("Set-up", setup_seconds))
    run.run()


@app.command("local-start")
def local_start(as_json: JsonOption = False) -> None:
    """Local cloud up with everything deployed and the corpus ingested (idempotent)."""
    from twin.commands import local
    from twin.commands.ingest import ingest
    from twin.deployment import api_key
    from twin.project import CORPUS

    deployed = local.start(_progress)
    report = ingest(deployed.stage, CORPUS)
    urls = local.urls(deployed)
    if as_json:
        print_json({"urls": urls, "outputs": deployed.outputs, "ingest": report})
        return
    print_table("Local cloud", ("what", "where"), [*urls.items(), ("API key", api_key(deployed.stage))])


@app.command("local-stop")
def local_stop() -> None:
    """All of the local cloud down."""
    from twin.commands import local

    local.stop()
    console.print("The local cloud is down.")


@app.command()
def deploy(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Deploy every stack of a stage and wait until the service is ready."""
    from twin.commands import deploy as command
    from twin.commands import local

    deployed = local.start(_progress) if stage == "local" else command.deploy(command.target(stage), _progress)
    if as_json:
        print_json(deployed.outputs)
    else:
        print_table(f"Stage {stage}", ("output", "value"), sorted(deployed.outputs.items()))


@app.command()
def synth(stage: StageOption = "local") -> None:
    """Synthesize the stacks of a stage into cdk.out; needs neither credentials nor network."""
    from twin import cdk
    from twin.project import CDK_OUT

    cdk.synth(stage, {})
    console.print(f"Stage {stage} is in {CDK_OUT.name}/.")


@app.command()
def ingest(
    source: Annotated[
        str, typer.Argument(help="Folder, file, s3://bucket/prefix or Git repository.")
    ] = "examples/corpus",
    stage: StageOption = "local",
    kind: Annotated[
        str, typer.Option("--type", help="posts, articles or repositories: what a folder without that layout holds.")
    ] = "",
    author: Annotated[str, typer.Option(help="Author of documents that name none.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Read documents, chunk, embed and upsert them; idempotent."""
    from twin.commands.ingest import ingest as run
    from twin.stages import connect

    report = run(connect(stage), source, kind=kind, author=author)
    print_json(report) if as_json else views.show_ingest(report)


@app.command()
def ask(
    query: Annotated[str, typer.Argument(help="The question.")],
    stage: StageOption = "local",
    author: Annotated[str | None, typer.Option(help="Only this author's documents.")] = None,
    rag: Annotated[bool, typer.Option(help="Retrieve documents first.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Ask: streams the answer, then prints sources, tokens, timings and the trace's address."""
    from twin.commands.ask import ask as run
    from twin.stages import connect

    target = connect(stage)
    if as_json:
        answer = run(target, query, author=author, enable_rag=rag)
        print_json({"answer": answer.text, "sources": answer.sources, **answer.done})
    else:
        views.ask_aloud(target, query, author=author, enable_rag=rag)


@app.command()
def trace(trace_id: Annotated[str, typer.Argument(help="Trace id.")], stage: StageOption = "local") -> None:
    """Show one trace: its spans with durations."""
    from twin.stages import connect

    views.show_trace(connect(stage), trace_id)


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
    """Run the monitoring evaluation now; exit 1 when the dataset is missing. With --dataset, an offline evaluation."""
    if dataset:
        _evaluate_offline(stage, dataset, baseline, experiment, newest, concurrency, judge, as_json)
        return
    if baseline or experiment or newest:
        raise TwinError("--baseline, --experiment and --newest are about an offline evaluation: name its --dataset.")
    from twin.commands.evaluate import evaluate as run
    from twin.stages import connect

    report = run(connect(stage), full=full)
    print_json(report) if as_json else views.show_report(report)


def _evaluate_offline(
    stage: str, dataset: str, baseline: str, name: str, newest: int, concurrency: int, judged: bool, as_json: bool
) -> None:
    from twin import opik_sdk

    opik_sdk.keep_quiet()
    from twin.evaluation.offline import Wish, closed, evaluate_offline
    from twin.stages import connect

    wish = Wish(dataset, baseline, name, concurrency, newest, judged)
    report = evaluate_offline(connect(stage), wish, _progress)
    print_json(report) if as_json else views.show_offline(report)
    if reason := closed(report):
        raise TwinError(f"The evaluation is not passed: {reason}.")


samples = typer.Typer(no_args_is_help=True, help="The samples that the monitoring evaluation judges.")
app.add_typer(samples, name="samples")


@samples.command("add")
def samples_add(
    trace_ids: Annotated[list[str], typer.Argument(help="Traces of answers.")],
    stage: StageOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Put answers into the monitoring dataset, through the same queue as sampled ones."""
    from twin.commands.samples import add
    from twin.stages import connect

    added = add(connect(stage), trace_ids)
    print_json({"added": added}) if as_json else views.show_added(added)


@samples.command("redrive")
def samples_redrive(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Move the samples of the dead-letter queue back into the queue."""
    from twin.commands.samples import redrive
    from twin.stages import connect

    moved = redrive(connect(stage), _progress)
    print_json({"moved": moved}) if as_json else views.show_moved(moved)


@app.command("evaluate-rag")
def evaluate_rag(
    file: Annotated[str, typer.Argument(help="JSON lines: query, relevant document ids.")] = "examples/retrieval.jsonl",
    stage: StageOption = "local",
    at_least: Annotated[
        list[str] | None, typer.Option(help="Fail below, for example ndcg@10=0.75; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recall, MRR and nDCG of the stage's retrieval on labelled questions; exit 1 below a threshold."""
    from pathlib import Path

    from twin.commands import evaluate_rag as command
    from twin.stages import connect
    from twin.thresholds import thresholds

    least = thresholds(at_least or (), "--at-least", "ndcg@10=0.75")
    report = command.evaluate_rag(connect(stage), Path(file))
    missed = command.missed(report, least)
    print_json({**report, "missed": missed}) if as_json else views.show_retrieval(report)
    if missed:
        raise TwinError(f"Retrieval is not as good as asked: {'; '.join(missed)}.")


@app.command("evaluate-judges")
def evaluate_judges(
    file: Annotated[Path, typer.Argument(help="JSON lines: id, task, label, query, context, answer.")] = Path(
        "examples/judge_pairs.jsonl"
    ),
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
    """How well the judges agree with labelled pairs: agreement, Cohen's kappa, confusion tables."""
    from twin import opik_sdk

    opik_sdk.keep_quiet()
    from twin.commands import evaluate_judges as command
    from twin.thresholds import thresholds

    settings, client = command.chosen(
        {"judge_provider": provider, "judge_model": model, "judge_url": url, "judge_endpoint_name": endpoint},
        prices=prices,
        concurrency=concurrency,
        stage=stage,
    )
    report = command.evaluate_judges(
        file,
        settings,
        client=client,
        thresholds=thresholds(threshold or (), "--threshold", "groundedness=0.6"),
        progress=_progress,
    )
    print_json(report) if as_json else views.show_judges(report)


@app.command()
def drill(
    query: Annotated[str, typer.Argument(help="The question to ask before and after.")],
    as_json: JsonOption = False,
) -> None:
    """Local alarm drill: a bad LLM release, the alarm's message, and the roll-back."""
    from twin.commands import drill as command
    from twin.commands.ask import ask as quietly
    from twin.stages import connect

    target = connect("local")
    how = (lambda stage, question: quietly(stage, question)) if as_json else views.ask_aloud
    try:
        seen = command.bad_release(target, query, how, _progress)
    finally:
        restored = command.roll_back(target, query, how, _progress)
    if as_json:
        answers = {"bad": {"answer": seen.bad.text}, "restored": {"answer": restored.text}}
        print_json({**answers, "report": seen.report, "message": seen.message})
        return
    views.show_report(seen.report)
    views.show_message(seen.message)


@app.command()
def delete(
    stage: StageOption = "local",
    keep: Annotated[list[str] | None, typer.Option(help="What holds data and stays: vectors.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go, in its order.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the stage, wait, list survivors; exit 1 if anything is left. Run it again after an interruption."""
    from twin.commands import delete as command
    from twin.commands import local
    from twin.inventory import services_checked
    from twin.stages import connect

    target, kept = connect(stage), tuple(keep or ())
    if dry_run:
        planned = command.plan(target, keep=kept)
        print_json([vars(each) for each in planned]) if as_json else views.show_plan(planned)
        return
    left = command.delete(target, _progress, keep=kept)
    if as_json:
        print_json({"survivors": [vars(s) for s in left], "services": services_checked()})
    else:
        views.show_proof(left)
    if left:
        raise typer.Exit(1)
    if target.is_local and not kept:
        local.stop()


vectors = typer.Typer(no_args_is_help=True, help="Backups of the vector store.")
app.add_typer(vectors, name="vectors")
StoreOption = Annotated[
    str | None, typer.Option("--url", help="Another Qdrant than the stage's; its key in QDRANT_API_KEY.")
]


@vectors.command("backup")
def vectors_backup(
    target: Annotated[str | None, typer.Argument(help="File or s3://bucket/key; else a file named after now.")] = None,
    stage: StageOption = "local",
    url: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every collection with its points, vectors and payloads into one file."""
    from twin.commands.vectors import backup

    where, counts = backup(stage, target, url=url)
    if as_json:
        print_json({"backup": where, "points": counts})
    else:
        print_table(f"Backup {where}", ("collection", "points"), sorted(counts.items()))


@vectors.command("restore")
def vectors_restore(
    source: Annotated[str, typer.Argument(help="File or s3://bucket/key.")],
    stage: StageOption = "local",
    url: StoreOption = None,
    into: Annotated[str, typer.Option(help="Prefix of the collections' names: a copy beside what is there.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace points of the same id.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load a backup and compare every point; deletes nothing, and may be run again after an interruption."""
    from twin.commands.vectors import restore_from

    done = restore_from(stage, source, _progress, url=url, into=into, overwrite=overwrite)
    if as_json:
        print_json([vars(each) for each in done])
    else:
        rows = [(each.collection, each.points, each.others) for each in done]
        print_table(f"Restored {source}", ("collection", "points, compared", "others there"), rows)


@app.command()
def cost(
    stage: StageOption = "local",
    assembly: Annotated[Path | None, typer.Option(help="A cdk.out to price instead of synthesizing the stage.")] = None,
    base: Annotated[Path | None, typer.Option("--diff", help="A cdk.out to compare with.")] = None,
    assume: Annotated[list[str] | None, typer.Option(help="An assumption, name=value; repeatable.")] = None,
    refresh_prices: Annotated[bool, typer.Option(help="Fetch prices from AWS first; needs credentials.")] = False,
    markdown: Annotated[bool, typer.Option(help="Markdown, for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What the stage costs: per resource, idle, in office hours, at full load, per 1,000 answers."""
    from twin.commands import cost as command

    found = command.templates(stage, assembly)
    if refresh_prices:
        views.show_refresh(command.refresh_prices(found, _progress))
    if base is not None:
        views.show_cost_diff(command.compare(base, found, assume or ()), markdown=markdown, as_json=as_json)
    else:
        title = f"Stage {stage} on AWS" if assembly is None else f"{assembly} on AWS"
        views.show_cost(command.cost(found, assume or ()), found, title, markdown=markdown, as_json=as_json)


@app.command()
def doctor(
    stage: StageOption = "local",
    model_dir: Annotated[
        Path | None,
        typer.Option(help="Directory with the model's config.json and weights, if the hub is out of reach."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Preflight: what would fail, why, and how to mend it; exit 1 if a deployment would fail."""
    from twin.commands import doctor as command

    findings = command.doctor(stage, model_dir)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        views.show_findings(stage, findings)
    if command.has_failed(findings):
        raise typer.Exit(1)


prompts = typer.Typer(no_args_is_help=True, help="Versions of the prompts and which of them is in use.")
app.add_typer(prompts, name="prompts")
PromptArgument = Annotated[str, typer.Argument(help="Name of the prompt.")]


@prompts.command("list")
def prompts_list(as_json: JsonOption = False) -> None:
    """Every version with its commit, and which is in use."""
    from services.rag.prompts.library import PromptLibrary
    from twin.commands import prompts as command

    found = command.rows(PromptLibrary())
    if as_json:
        print_json([vars(row) for row in found])
        return
    shown = [(row.name, row.version, row.commit, "in use" if row.active else "") for row in found]
    print_table("Prompts", ("prompt", "version", "commit", ""), shown)


@prompts.command("diff")
def prompts_diff(
    name: PromptArgument,
    before: Annotated[str | None, typer.Argument(help="Version; the one in use by default.")] = None,
    after: Annotated[str | None, typer.Argument(help="Version; the newest by default.")] = None,
) -> None:
    """The difference between two versions."""
    from services.rag.prompts.library import PromptLibrary
    from twin.commands import prompts as command

    for line in command.diff(PromptLibrary(), name, before, after):
        console.print(line, markup=False)


@prompts.command("promote")
def prompts_promote(name: PromptArgument, version: Annotated[str, typer.Argument(help="Version.")]) -> None:
    """Put a version in use with the next deployment."""
    from services.rag.prompts.library import PromptLibrary
    from twin.commands import prompts as command

    chosen = command.promote(PromptLibrary(), name, version)
    console.print(f"{name}: version {chosen} is in use with the next deployment.")


@prompts.command("rollback")
def prompts_rollback(name: PromptArgument) -> None:
    """Put the version in use again that was before, with the next deployment."""
    from services.rag.prompts.library import PromptLibrary
    from twin.commands import prompts as command

    chosen = command.rollback(PromptLibrary(), name)
    console.print(f"{name}: version {chosen} is in use with the next deployment.")


export = typer.Typer(no_args_is_help=True, help="Data sets for fine-tuning, as JSON Lines for TRL's trainers.")
app.add_typer(export, name="export")
FileArgument = Annotated[Path, typer.Argument(help="File to write.")]
ContextOption = Annotated[bool, typer.Option(help="The whole prompt with its documents, not the question alone.")]


@export.command("preferences")
def export_preferences(
    file: FileArgument,
    stage: StageOption = "local",
    margin: Annotated[float, typer.Option(help="Least distance of two scores.", min=0.01, max=1)] = 0.3,
    context: ContextOption = True,
) -> None:
    """Pairs of a better and a worse answer to the same prompt (DPO)."""
    from twin.commands import export as command

    _export(file, stage, context, "pairs", lambda answers: command.preferences(answers, margin))


@export.command("instructions")
def export_instructions(
    file: FileArgument,
    stage: StageOption = "local",
    at_least: Annotated[float, typer.Option(help="Least score of an answer.", min=0, max=1)] = 0.7,
    context: ContextOption = True,
) -> None:
    """The best answer to every prompt, where it is good enough (SFT)."""
    from twin.commands import export as command

    _export(file, stage, context, "instructions", lambda answers: command.instructions(answers, at_least))


def _export(file: Path, stage: str, with_context: bool, what: str, choose: Callable[[Any], Any]) -> None:
    from twin.commands import export as command
    from twin.opik import opik_reader
    from twin.stages import connect

    reader = opik_reader(connect(stage))
    answers = command.read(reader.api, reader.project, with_context=with_context)
    with file.open("w", encoding="utf-8") as out:
        written = command.write(choose(answers), out)
    console.print(f"{written} {what} of {len(answers)} scored answers are in {file}.", markup=False)
