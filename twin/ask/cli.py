"""`twin ingest`, `ask`, `trace`: ingestion of documents, questions, and traces."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.target.errors import TwinError
from twin.target.paths import CORPUS
from twin.terminal.console import print_json
from twin.terminal.options import JsonOption, StageOption, progress

app = typer.Typer()


@app.command()
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder, file, s3://bucket/prefix or Git repository.", show_default="examples/corpus of the checkout"
        ),
    ] = str(CORPUS),
    stage: StageOption = "local",
    kind: Annotated[
        str, typer.Option("--type", help="posts, articles or repositories: what a folder without that layout holds.")
    ] = "",
    author: Annotated[str, typer.Option(help="Author of documents that name none.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Read documents, embed them, and store them as vectors.

    Unchanged documents are skipped.
    """
    from twin.ask import view
    from twin.ask.ingest import ingest
    from twin.target.stage import connect

    report = ingest(connect(stage), source, kind=kind, author=author)
    print_json(report) if as_json else view.show_ingest(report)


@app.command()
def ask(
    query: Annotated[str, typer.Argument(help="The question.")],
    stage: StageOption = "local",
    author: Annotated[str | None, typer.Option(help="Only this author's documents.")] = None,
    rag: Annotated[bool, typer.Option(help="Retrieve documents first.")] = True,
    sample: Annotated[bool, typer.Option(help="Let the monitoring evaluation sample the answer.")] = True,
    require_sources: Annotated[
        bool, typer.Option("--require-sources", help="Exit with 1 when the answer names no source.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wake a sleeping model first, however long that takes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask a question and stream the answer.

    Sources, token counts, timings and the address of the trace follow. Exit code 1 without a complete answer.
    """
    from twin.ask import view
    from twin.target.answer import ask
    from twin.target.stage import connect

    target = connect(stage)
    if wait:
        from twin.target.api_client import ApiClient
        from twin.target.waking import await_service

        with ApiClient(target) as api:
            await_service(target, api, progress)
    if as_json:
        answer = ask(target, query, author=author, enable_rag=rag, sample=sample)
        print_json({"answer": answer.text, "sources": answer.sources, **answer.done})
    else:
        answer = view.ask_and_print(target, query, author=author, enable_rag=rag, sample=sample)
    if not answer.text.strip():
        raise TwinError("The answer has no text.")
    if require_sources and not answer.sources:
        raise TwinError("The answer names no source.")


@app.command()
def trace(
    trace_id: Annotated[str, typer.Argument(help="Trace id.")],
    stage: StageOption = "local",
    as_json: JsonOption = False,
) -> None:
    """Show the spans of a trace with their durations."""
    from dataclasses import asdict

    from twin.ask import view
    from twin.target.opik_client import opik_reader
    from twin.target.stage import connect

    reader = opik_reader(connect(stage))
    found = reader.wait_for(trace_id, view.TRACE_SECONDS)
    print_json({**asdict(found), "page": reader.page(trace_id)}) if as_json else view.show_trace(reader, found)
