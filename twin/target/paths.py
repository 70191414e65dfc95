"""Where things are: of a checkout, and of a run."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.checkout import EMBEDDING_MODEL, JSII_CACHE, ROOT, VENV

__all__ = ["CDK_OUT", "CORPUS", "EMBEDDING_MODEL", "JSII_CACHE", "LOCAL", "ROOT", "STATE_ROOT", "VENV"]

STATE_ROOT = Path(os.environ.get("TWIN_STATE_ROOT") or ROOT).resolve()
"""Whose `.local` a run uses: the checkout's own, unless a second local cloud is wanted beside it (tests do)."""
LOCAL = STATE_ROOT / ".local"
"""Everything that a run leaves on this machine; safe to delete when nothing runs."""
CDK_OUT = STATE_ROOT / "cdk.out"
CORPUS = ROOT / "examples" / "corpus"
