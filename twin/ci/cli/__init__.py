"""`twin ci`: steps of the delivery workflows; each runs on a laptop as it runs in a job."""

import typer

from twin.ci.cli import change, deploy, evaluation, preview, release, teardown

app = typer.Typer(no_args_is_help=True, help="Run one step of the delivery workflows.")
for commands in (change, deploy, evaluation, preview, teardown, release):
    app.add_typer(commands.app)
