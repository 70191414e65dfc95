"""`twin demo`, `local-start`, `local-stop`, `local-reset`: the local cloud."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption, progress

app = typer.Typer()


@app.command()
def demo(
    setup_seconds: Annotated[float, typer.Option(help="How long set-up took, for the table of times.")] = 0.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, instead of deleting it.")
    ] = False,
) -> None:
    """Run the whole story on this machine, from deploy to delete."""
    from twin.local.demo import Demo

    run = Demo(keep)
    run.steps.times.append(("Set-up", setup_seconds))
    run.run()


@app.command("local-start")
def local_start(
    llm: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="OpenAI-compatible server that answers, or extractive. Kept for later starts."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of that server; not needed when it has one only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the local cloud, deploy, and ingest the corpus.

    Example: twin local-start --llm http://127.0.0.1:11434/v1 --model qwen3:8b
    """
    from localcloud.credentials import credentials_path
    from twin.ask.ingest import ingest
    from twin.deploy import local
    from twin.target import cdk_shell, local_llm
    from twin.target.deployment import api_key
    from twin.target.paths import CORPUS, STATE_ROOT

    server = local_llm.choose(llm, model)
    deployed = local.start(progress)
    report = ingest(deployed.stage, CORPUS)
    urls = local.urls(deployed)
    described = local_llm.QUOTING if server is None else f"{server.model} at {server.base_url}"
    if as_json:
        print_json({"llm": described, "urls": urls, "outputs": deployed.outputs, "ingest": report})
        return
    keys = [("API key", api_key(deployed.stage)), ("AWS credentials (file)", str(credentials_path(STATE_ROOT)))]
    keys.append(("For npx cdk (file)", str(cdk_shell.FILE)))
    print_table("Local cloud", ("what", "where"), [*urls.items(), ("LLM", described), *keys])


@app.command("local-stop")
def local_stop() -> None:
    """Stop the local cloud."""
    from twin.deploy import local

    local.stop()
    console.print("The local cloud is down.")


@app.command("local-reset")
def local_reset() -> None:
    """Stop the local cloud and delete its data and keys."""
    from twin.deploy import local

    local.reset()
    console.print("The local cloud is down, and nothing of it is left.")
