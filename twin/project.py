"""Where things are in a checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
"""Everything that a run leaves on this machine; safe to delete when nothing runs."""
VENV = ROOT / ".venv"
CDK_OUT = ROOT / "cdk.out"
CORPUS = ROOT / "examples" / "corpus"
EMBEDDING_MODEL = LOCAL / "models" / "all-MiniLM-L6-v2"
STACKS = ("network", "llm", "business", "evaluation", "guard")
