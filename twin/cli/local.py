"""`twin demo`, `local-start`, `local-stop`, `drill`: the local cloud."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli.options import JsonOption, progress
from twin.console import console, print_json, print_table

app = typer.Typer()


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

    deployed = local.start(progress)
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
def drill(
    query: Annotated[str, typer.Argument(help="The question to ask before and after.")],
    as_json: JsonOption = False,
) -> None:
    """Local alarm drill: a bad LLM release, the alarm's message, and the roll-back."""
    from twin import views
    from twin.commands import drill as command
    from twin.commands.ask import ask as quietly
    from twin.stages import connect

    target = connect("local")
    how = (lambda stage, question: quietly(stage, question)) if as_json else views.ask_aloud
    try:
        seen = command.bad_release(target, query, how, progress)
    finally:
        restored = command.roll_back(target, query, how, progress)
    if as_json:
        answers = {"bad": {"answer": seen.bad.text}, "restored": {"answer": restored.text}}
        print_json({**answers, "report": seen.report, "message": seen.message})
        return
    views.show_report(seen.report)
    views.show_message(seen.message)
