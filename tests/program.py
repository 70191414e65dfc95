"""The installed program `twin`, as a user runs it."""

from __future__ import annotations

import sys

from twin.target.paths import VENV

TWIN = str(VENV / "bin" / "twin")


def command(name: str, *arguments: str) -> list[str]:
    """`twin` with arguments, or a program of `services` by its module's name."""
    return [TWIN, *arguments] if name == "twin" else [sys.executable, "-m", name, *arguments]
