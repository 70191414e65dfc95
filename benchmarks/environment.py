"""Python environment of the tools for benchmarks (LiteLLM, matplotlib), created when it is missing or outdated."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import BenchmarkError
from localcloud.process import REPOSITORY

VENV = REPOSITORY / ".local" / "venvs" / "benchmark"
LOCK = REPOSITORY / "requirements" / "benchmark.txt"
PYTHON = VENV / "bin" / "python"
_STAMP = VENV / ".lock-digest"


def ensure(progress: Callable[[str], None]) -> Path:
    """Path of the environment's Python; the packages of the lock file are installed first.

    Args:
        progress: called with a line before an installation.

    Raises:
        BenchmarkError: the packages cannot be installed.
    """
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if PYTHON.exists() and _STAMP.exists() and _STAMP.read_text() == wanted:
        return PYTHON
    progress(f"Installing {LOCK.name} into {VENV.relative_to(REPOSITORY)} (LiteLLM, matplotlib) ...")
    _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV))
    locked = ("--require-hashes", "--compile-bytecode", str(LOCK))
    _uv("pip", "sync", "--quiet", "--python", str(PYTHON), *locked)
    _STAMP.write_text(wanted)
    return PYTHON


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip()[-500:]
        raise BenchmarkError(f"The benchmark environment cannot be created; `uv {' '.join(arguments[:2])}`: {reason}")
