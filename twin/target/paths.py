"""Paths of a checkout and of a run. None depends on the caller's folder.

Standard library only: set-up uses them before anything is installed.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: code, node_modules, examples."""
VENV = ROOT / ".venv"
EMBEDDING_MODEL = ROOT / ".local" / "models" / "all-MiniLM-L6-v2"
JSII_CACHE = ROOT / ".local" / "jsii"
"""Unpacked modules of the CDK: they belong to the checkout, whichever state a run uses."""
STATE_ROOT = Path(os.environ.get("TWIN_STATE_ROOT") or ROOT).resolve()
"""Folder whose `.local` a run uses: the checkout, unless a second local cloud runs beside it (tests do that)."""
LOCAL = STATE_ROOT / ".local"
"""Everything that a run leaves on this machine; safe to delete when nothing runs."""
CDK_OUT = STATE_ROOT / "cdk.out"
CORPUS = ROOT / "examples" / "corpus"
RETRIEVAL_QUESTIONS = ROOT / "examples" / "retrieval.jsonl"
JUDGE_PAIRS = ROOT / "examples" / "judge_pairs.jsonl"
