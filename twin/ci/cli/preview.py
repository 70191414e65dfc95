"""`twin ci preview-comment`, `preview-delete`: the comment of a pull request, and the end of its stage."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any

import typer

from twin.ci.cli.options import COMMIT
from twin.terminal.options import StageOption, progress

app = typer.Typer()


@app.command("preview-comment")
def preview_comment(
    commit: Annotated[str, typer.Option(envvar=COMMIT, help="The commit that is previewed.")],
    run_url: Annotated[str, typer.Option(envvar="PREVIEW_RUN_URL", help="Page of the run.")] = "",
    url: Annotated[str, typer.Option(envvar="PREVIEW_URL", help="Where the preview answers; empty: nowhere.")] = "",
    base: Annotated[Path, typer.Option(help="Cloud assembly of the base.")] = Path("base.out"),
    head: Annotated[Path, typer.Option(help="Cloud assembly of the change.")] = Path("head.out"),
    base_scores: Annotated[Path, typer.Option(help="Scores of the base.")] = Path("base-scores.json"),
    head_scores: Annotated[Path, typer.Option(help="Scores of the change.")] = Path("head-scores.json"),
    benchmarks: Annotated[Path, typer.Option(help="Folder of benchmark reports.")] = Path(".local/benchmarks"),
    proof: Annotated[Path, typer.Option(help="File that `preview-delete` wrote.")] = Path("proof.json"),
    dry_run: Annotated[bool, typer.Option(help="Print the comment, post nothing.")] = False,
) -> None:
    """Write or update the pull request's one comment; what was not measured is named as missing."""
    from twin.ci import preview, scores, stack_diff
    from twin.evaluate.comparison import compare
    from twin.target.github import GitHub
    from twin.target.github_job import Job, append_step_summary
    from twin.target.json_file import read_json

    both = base.is_dir() and head.is_dir()
    scored = base_scores.is_file() and head_scores.is_file()
    reports = sorted(benchmarks.glob("*.json"))
    found = preview.Preview(
        commit=commit,
        run_url=run_url,
        url=url or None,
        stacks=stack_diff.compare(base, head) if both else None,
        cost=_cost(base, head) if both else None,
        scores=compare(scores.read(base_scores), scores.read(head_scores)) if scored else None,
        benchmarks=[goal for file in reports for goal in read_json(file)["goals"]] if reports else None,
        proof=_proof(proof),
    )
    body = preview.render(found)
    print(body)
    append_step_summary(body)
    if not dry_run:
        job = Job.read()
        with GitHub(job) as github:
            write = functools.partial(preview.render, found)
            progress(github.keep_comment(job.pull_request, preview.MARKER, write))


@app.command("preview-delete")
def preview_delete(
    stage: StageOption,
    proof: Annotated[Path, typer.Option(help="File to write.")] = Path("proof.json"),
) -> None:
    """Delete a preview and keep the proof for its comment; exit 1 if anything is left."""
    from twin.ci.teardown import delete_with_proof
    from twin.target.stage import connect

    delete_with_proof(connect(stage), proof, progress)


def _proof(file: Path) -> Any:
    """Proof of the deletion; None without a deletion, empty when the deletion failed before it printed anything."""
    from twin.target.json_file import read_json

    if not file.is_file():
        return None
    return read_json(file) if file.stat().st_size else {}


def _cost(base: Path, head: Path) -> str:
    from twin.cost import report, stage_cost

    difference = stage_cost.compare(base, stage_cost.templates("", head))
    return "\n\n".join(table.markdown() for table in report.diff_tables(difference))
