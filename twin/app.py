"""The program `twin`: every command, and the exit codes."""

from __future__ import annotations

import sys

import typer

from twin.account import cli as account
from twin.ask import cli as ask
from twin.ci import cli as ci
from twin.configure import cli as configure
from twin.cost import cli as cost
from twin.delete import cli as delete
from twin.deploy import cli as deploy
from twin.doctor import cli as doctor
from twin.evaluate import cli as evaluate
from twin.evaluate.export import cli as export
from twin.evaluate.samples import cli as samples
from twin.local import cli as local
from twin.local import drills
from twin.model import cli as model
from twin.prompts import cli as prompts
from twin.vectors import cli as vectors

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deploy an LLM twin, ask it, watch it, and delete it again.",
)
for job in (local, configure, doctor, deploy, cost, delete, ask, evaluate):
    app.add_typer(job.app)
app.add_typer(account.app, name="account")
app.add_typer(ci.app, name="ci")
app.add_typer(drills.app, name="drill")
app.add_typer(model.app, name="model")
app.add_typer(configure.secrets, name="secrets")
app.add_typer(samples.app, name="samples")
app.add_typer(vectors.app, name="vectors")
app.add_typer(prompts.app, name="prompts")
app.add_typer(export.app, name="export")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run a command; an error that the user can fix is one sentence and exit code 1, Ctrl-C exit code 130."""
    try:
        # Without standalone mode typer hands a command's exit code back instead of exiting with it.
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - an unexpected error is raised again by _report
        code = _report(error)
    if code == INTERRUPTED:
        print("\nInterrupted.", file=sys.stderr)
    sys.exit(code)


def _report(error: Exception) -> int:
    from botocore.exceptions import BotoCoreError, ClientError

    from localcloud.lifecycle import LocalCloudError
    from services.common.text import without_control_characters
    from twin.target.errors import TwinError

    # Usage errors of typer have a method to show themselves; their class is not part of its public interface.
    show, exit_code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(exit_code, int):
        show()
        return exit_code
    if isinstance(error, TwinError | LocalCloudError):
        sentence = str(error)
    elif isinstance(error, BotoCoreError | ClientError):
        sentence = f"AWS refused or could not be reached: {error}"
    elif isinstance(error, OSError) and error.filename:
        sentence = f"{error.strerror}: {error.filename}"
    else:
        raise error
    print(f"Error: {without_control_characters(sentence)}", file=sys.stderr)
    return 1
