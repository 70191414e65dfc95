"""The installed program `twin`, as a user runs it."""

from __future__ import annotations

from scripts.checkout import VENV

TWIN = str(VENV / "bin" / "twin")
