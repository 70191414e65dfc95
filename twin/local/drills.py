"""`twin drill`: what must work on a bad day, practised on the local stage."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import print_json
from twin.terminal.options import JsonOption, progress

app = typer.Typer(no_args_is_help=True, help="Practise a bad release and faults, on the local stage.")


@app.command()
def release(
    query: Annotated[str, typer.Argument(help="The question to ask before and after.")],
    as_json: JsonOption = False,
) -> None:
    """Practise an alarm: a bad LLM release and its rollback."""
    from twin.ask.view import ask_and_print
    from twin.evaluate.view import show_report
    from twin.local.bad_release import bad_release, roll_back
    from twin.local.view import show_message
    from twin.target.answer import ask
    from twin.target.stage import connect

    target = connect("local")
    how = (lambda stage, question: ask(stage, question)) if as_json else ask_and_print
    try:
        seen = bad_release(target, query, how, progress)
    finally:
        restored = roll_back(target, query, how, progress)
    if as_json:
        answers = {
            name: {"answer": each.text, "model": each.done.get("model")}
            for name, each in (("bad", seen.bad), ("restored", restored))
        }
        print_json({**answers, "report": seen.report, "message": seen.message})
        return
    show_report(seen.report)
    show_message(seen.message)


@app.command()
def faults(
    only: Annotated[
        str, typer.Option(help='PART or "PART:FAULT", such as qdrant or "qdrant:disk full"; empty: all of them.')
    ] = "",
    callers: Annotated[int, typer.Option(help="Callers that ask at the same time.", min=1, max=64)] = 8,
    seconds: Annotated[float, typer.Option(help="Length of each fault that does not kill.", min=1, max=60)] = 5.0,
    stage: Annotated[str, typer.Option(help="Only local: faults are made on this machine.", envvar="STAGE")] = "local",
    as_json: JsonOption = False,
) -> None:
    """Kill, hang, slow and leave without disk each dependency, under load.

    Exit code 1 when a promise of docs/architecture.md was broken.
    """
    from twin.local.faults import drill, promises, view
    from twin.target.stage import connect

    wanted = promises.chosen(only)
    results = drill.drill(connect(stage), wanted, progress, callers=callers, seconds=seconds)
    print_json(view.as_json(results)) if as_json else view.show(results)
    if not view.kept(results):
        raise typer.Exit(1)
