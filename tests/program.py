"""The installed program `twin`, as a user runs it."""

from __future__ import annotations

from twin.target.paths import VENV

TWIN = str(VENV / "bin" / "twin")
