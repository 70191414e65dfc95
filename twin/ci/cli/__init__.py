"""`twin ci`: the steps of the delivery workflows; each runs on a laptop as it runs in a job."""

import typer

from twin.ci.cli import checks, deployed, evaluation, image, preview, release, teardown

app = typer.Typer(no_args_is_help=True, help="Run one step of the delivery workflows.")
for commands in (checks, image, evaluation, deployed, preview, teardown, release):
    app.add_typer(commands.app)
