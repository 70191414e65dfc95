"""`.local/cdk.env`: what a shell needs to run the CDK's own command line on the running local cloud.

    . .local/cdk.env && npx cdk diff

It holds addresses and names. The key stays in `.local/aws-credentials`, which it names.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from localcloud.credentials import credentials_path
from twin.target import cdk
from twin.target.cdk_environment import stage_environment
from twin.target.errors import TwinError
from twin.target.node import find_node, npm_command
from twin.target.paths import LOCAL, ROOT, STATE_ROOT, VENV
from twin.target.stage import Stage

FILE = LOCAL / "cdk.env"
PROGRAMS = LOCAL / "bin"
IN_THE_FILE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""The AWS SDKs read them from the file that AWS_SHARED_CREDENTIALS_FILE names."""


def write(stage: Stage) -> Path:
    """Write the file for a running local cloud; returns it.

    Args:
        stage: the stage `local`.

    Raises:
        TwinError: Node was not found, or the stage's settings are wrong.
    """
    # Without the number of copies, which is that of one moment: by hand the settings' number is meant.
    kept = {name: value for name, value in stage_environment(stage).items() if name not in IN_THE_FILE}
    variables = {
        "STAGE": stage.name,
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_path(STATE_ROOT)),
        "AWS_EC2_METADATA_DISABLED": "true",
        **cdk.own_environment(),
        **kept,
    }
    lines = [
        "# Written by `make local-start`: . .local/cdk.env && npx cdk diff",
        *(f"unset {name}" for name in (*IN_THE_FILE, *cdk.NOT_FOR_LOCAL)),
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())),
        f'export PATH={shlex.quote(_programs())}:"$PATH"',
    ]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return FILE


def _programs() -> str:
    """Folders to look for programs in first: Node's, the CDK's and the environment's."""
    node = find_node(VENV)
    if node is None:
        raise TwinError("Node was not found: run `make setup`.")
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    _write_npx(node)
    return ":".join(str(each) for each in (PROGRAMS, ROOT / "node_modules" / ".bin", node.parent, VENV / "bin"))


def _write_npx(node: Path) -> None:
    """Write an `npx` for a Node that came from PyPI, whose own does not find its modules."""
    npx = PROGRAMS / "npx"
    npx.unlink(missing_ok=True)
    program, *script = npm_command(node)
    if script:
        command = shlex.join([program, str(Path(script[0]).with_name("npx-cli.js"))])
        npx.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        npx.chmod(0o755)
