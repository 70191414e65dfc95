"""`twin`: all commands together, and how each of them ends."""

from __future__ import annotations

import sys

import typer

from twin.cli import answers, ci, evaluation, export, local, model, prompts, samples, stage, vectors

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The commands, their options and help; what they do is in `twin.commands`.",
)
for commands in (local, stage, answers, evaluation):
    app.add_typer(commands.app)
app.add_typer(ci.app, name="ci")
app.add_typer(model.app, name="model")
app.add_typer(samples.app, name="samples")
app.add_typer(vectors.app, name="vectors")
app.add_typer(prompts.app, name="prompts")
app.add_typer(export.app, name="export")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run a command; what a person can mend ends as one sentence and exit code 1, Ctrl-C as 130."""
    try:
        # Without standalone mode typer hands a command's exit code back instead of exiting with it.
        code = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is raised again by _report
        code = _report(error)
    if code == INTERRUPTED:
        print("\nInterrupted.", file=sys.stderr)
    sys.exit(code)


def _report(error: Exception) -> int:
    from botocore.exceptions import BotoCoreError, ClientError

    from localcloud.lifecycle import LocalCloudError
    from twin.errors import TwinError

    # Usage errors of typer know how to show themselves; their class is not part of its public interface.
    show, exit_code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(exit_code, int):
        show()
        return exit_code
    if isinstance(error, TwinError | LocalCloudError):
        print(f"Error: {error}", file=sys.stderr)
    elif isinstance(error, BotoCoreError | ClientError):
        print(f"Error: AWS refused or could not be reached: {error}", file=sys.stderr)
    elif isinstance(error, OSError) and error.filename:
        print(f"Error: {error.strerror}: {error.filename}", file=sys.stderr)
    else:
        raise error
    return 1
