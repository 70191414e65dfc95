"""Paths of the checkout and of a run; none depends on the caller's folder."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.checkout import EMBEDDING_MODEL, JSII_CACHE, ROOT, VENV

__all__ = [
    "CDK_OUT",
    "CORPUS",
    "EMBEDDING_MODEL",
    "JSII_CACHE",
    "JUDGE_PAIRS",
    "LOCAL",
    "RETRIEVAL_QUESTIONS",
    "ROOT",
    "STATE_ROOT",
    "VENV",
]

STATE_ROOT = Path(os.environ.get("TWIN_STATE_ROOT") or ROOT).resolve()
"""Folder of the `.local` that a run uses: the checkout, unless a second local cloud runs beside it (in tests)."""
LOCAL = STATE_ROOT / ".local"
"""Everything that a run leaves on this machine; safe to delete when nothing runs."""
CDK_OUT = STATE_ROOT / "cdk.out"
CORPUS = ROOT / "examples" / "corpus"
RETRIEVAL_QUESTIONS = ROOT / "examples" / "retrieval.jsonl"
JUDGE_PAIRS = ROOT / "examples" / "judge_pairs.jsonl"
