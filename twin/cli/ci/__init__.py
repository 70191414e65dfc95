"""`twin ci`: the steps of the delivery workflows; each runs on a laptop as it runs in a job."""

import typer

from twin.cli.ci import checks, deployed, evaluation, image, preview, release, teardown, trust

app = typer.Typer(no_args_is_help=True, help=__doc__)
for commands in (checks, image, evaluation, deployed, preview, teardown, release, trust):
    app.add_typer(commands.app)
