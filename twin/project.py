"""Where things are in a checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: code, node_modules, examples."""
STATE_ROOT = Path(os.environ.get("TWIN_STATE_ROOT") or ROOT).resolve()
"""Whose `.local` a run uses: the checkout's own, unless a second local cloud is wanted beside it (tests do)."""
LOCAL = STATE_ROOT / ".local"
"""Everything that a run leaves on this machine; safe to delete when nothing runs."""
CDK_OUT = STATE_ROOT / "cdk.out"
JSII_CACHE = ROOT / ".local" / "jsii"
"""CDK's own modules, unpacked: they are the checkout's, whatever state it runs with."""
VENV = ROOT / ".venv"
CORPUS = ROOT / "examples" / "corpus"
EMBEDDING_MODEL = ROOT / ".local" / "models" / "all-MiniLM-L6-v2"
STACKS = ("network", "llm", "business", "evaluation", "guard")
