"""`twin ci preview-comment`: what a pull request is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.cli.ci.options import COMMIT
from twin.cli.options import progress

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
    benchmarks: Annotated[Path, typer.Option(help="Folder of benchmark reports.")] = Path("benchmark-reports"),
    proof: Annotated[Path, typer.Option(help="What `twin delete --json` printed.")] = Path("proof.json"),
    dry_run: Annotated[bool, typer.Option(help="Print the comment, post nothing.")] = False,
) -> None:
    """Keep the pull request's one comment; what is not there yet is said to be missing."""
    from twin.ci import preview, scores, stack_diff
    from twin.ci.environment import Job, summarise
    from twin.ci.files import read_json
    from twin.ci.github import GitHub

    both = base.is_dir() and head.is_dir()
    scored = base_scores.is_file() and head_scores.is_file()
    reports = sorted(benchmarks.glob("*.json"))
    body = preview.render(
        preview.Preview(
            commit=commit,
            run_url=run_url,
            url=url or None,
            stacks=stack_diff.compare(base, head) if both else None,
            cost=_cost(base, head) if both else None,
            scores=scores.compare(scores.read(base_scores), scores.read(head_scores)) if scored else None,
            benchmarks=[goal for file in reports for goal in read_json(file)["goals"]] if reports else None,
            proof=read_json(proof) if proof.is_file() else None,
        )
    )
    print(body)
    summarise(body)
    if not dry_run:
        job = Job.read()
        with GitHub(job) as github:
            progress(github.keep_comment(job.pull_request, preview.MARKER, body))


def _cost(base: Path, head: Path) -> str:
    from twin.commands import cost
    from twin.cost import report

    difference = cost.compare(base, cost.templates("", head))
    return "\n\n".join(table.markdown() for table in report.diff_tables(difference))
