"""Where set-up puts what it makes. Standard library only: set-up runs before anything is installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: code, node_modules, examples."""
VENV = ROOT / ".venv"
EMBEDDING_MODEL = ROOT / ".local" / "models" / "all-MiniLM-L6-v2"
JSII_CACHE = ROOT / ".local" / "jsii"
"""CDK's own modules, unpacked: they are the checkout's, whatever state a run has."""
