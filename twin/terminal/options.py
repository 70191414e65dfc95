"""Options that many commands share, and the progress of a command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from services.common.text import without_control_characters

StageOption = Annotated[str, typer.Option(help="Target: local, dev, prod or an ephemeral stage.", envvar="STAGE")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def progress(line: str) -> None:
    """Show a line on standard error, unless TWIN_QUIET is set and standard error is no terminal."""
    if sys.stderr.isatty() or not os.environ.get("TWIN_QUIET"):
        print(f"   {without_control_characters(line)}", file=sys.stderr, flush=True)
