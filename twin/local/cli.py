"""`twin demo`, `local-start`, `local-stop`: the local cloud."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption, progress

app = typer.Typer()


@app.command()
def demo(
    setup_seconds: Annotated[float, typer.Option(help="How long set-up took, for the table of times.")] = 0.0,
) -> None:
    """Run the whole story on this machine, from deploy to delete."""
    from twin.local.demo import Demo

    run = Demo()
    run.steps.times.append(("Set-up", setup_seconds))
    run.run()


@app.command("local-start")
def local_start(as_json: JsonOption = False) -> None:
    """Start the local cloud, deploy, and ingest the corpus."""
    from localcloud.credentials import credentials_path
    from twin.ask.ingest import ingest
    from twin.deploy import local
    from twin.target.deployment import api_key
    from twin.target.paths import CORPUS, STATE_ROOT

    deployed = local.start(progress)
    report = ingest(deployed.stage, CORPUS)
    urls = local.urls(deployed)
    if as_json:
        print_json({"urls": urls, "outputs": deployed.outputs, "ingest": report})
        return
    keys = [("API key", api_key(deployed.stage)), ("AWS credentials (file)", str(credentials_path(STATE_ROOT)))]
    print_table("Local cloud", ("what", "where"), [*urls.items(), *keys])


@app.command("local-stop")
def local_stop() -> None:
    """Stop the local cloud."""
    from twin.deploy import local

    local.stop()
    console.print("The local cloud is down.")
