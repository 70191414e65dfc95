"""`twin init`, `secrets`: a stage's settings and secrets."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from twin.terminal.console import console, print_json, print_table
from twin.terminal.options import JsonOption, StageOption

app = typer.Typer()
secrets = typer.Typer(no_args_is_help=True, help="List and fill the keys that no template holds.")


@app.command()
def init(
    stage: Annotated[str, typer.Option(help="Stage to set up: dev, prod, or a new name.")] = "dev",
    region: Annotated[str | None, typer.Option(help="AWS region; empty: of the profile.")] = None,
    store: Annotated[
        str | None, typer.Option(help="Qdrant: `hosted` for a machine of the stage (default), or an https address.")
    ] = None,
    opik: Annotated[str | None, typer.Option(help="Opik's API, an address with /api; default: Comet's.")] = None,
    model: Annotated[str | None, typer.Option(help="OWNER/NAME on the Hugging Face hub.")] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of the model; empty: the newest.")] = None,
    email: Annotated[list[str] | None, typer.Option(help="Address that gets every alarm; may be repeated.")] = None,
    budget: Annotated[float | None, typer.Option(help="US dollars a month, after which the GPU is taken away.")] = None,
    documents: Annotated[
        str | None,
        typer.Option(help="Bucket of your documents, for `twin ingest s3://...`; default: the folder rag.documents."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: options, and defaults for the rest.")] = False,
) -> None:
    """Set up a stage by three questions, and check its account.

    Writes infra/config/STAGE.toml. Run it again to change an answer.
    """
    from twin.configure import interview
    from twin.configure.stage_file import Answers
    from twin.doctor import preflight
    from twin.doctor.view import show_findings

    given = Answers(region, store, opik, model, revision, tuple(email or ()) or None, budget, documents)
    asks = sys.stdin.isatty() and not yes
    done = interview.run(stage, given, interview.ask_person if asks else interview.take_defaults)
    console.print(f"Written: infra/config/{stage}.toml")
    for line in done.notes:
        console.print(line)
    findings = preflight.doctor(stage)
    show_findings(stage, findings)
    console.print(f"\nNext: twin deploy --stage {stage}")
    if preflight.has_failed(findings):
        raise typer.Exit(1)


@secrets.command("list")
def list_secrets(stage: StageOption = "local", as_json: JsonOption = False) -> None:
    """Which secrets a stage has, and whether they were ever filled. Values are never shown."""
    from twin.configure.secrets import states
    from twin.target.stage import connect

    found = states(connect(stage))
    if as_json:
        print_json([state.as_dict() for state in found])
    else:
        rows = [(state.secret.name, state.secret.holds, state.state) for state in found]
        print_table(f"Secrets, stage {stage}", ("secret", "holds", "state"), rows)


@secrets.command("set")
def set_secret(
    name: Annotated[str, typer.Argument(help="opik, qdrant, qdrant-write, slack or judge.")],
    stage: StageOption = "local",
) -> None:
    """Fill a secret, before or after the deployment.

    The value is asked for, or read from standard input; it is no argument, since a shell keeps those.
    """
    from twin.configure.secrets import fill
    from twin.target.stage_secrets import secret

    wanted = secret(name)
    value = typer.prompt(f"The {wanted.holds}", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    console.print(fill(stage, name, value.strip()))
