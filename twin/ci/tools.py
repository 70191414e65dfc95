"""Tools that look at the project from outside, each lock in an environment of its own: their versions are not ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from twin.target.errors import TwinError
from twin.target.paths import ROOT

VENVS = ROOT / ".local" / "venvs"


def run(lock: str, program: str, arguments: Sequence[str]) -> None:
    """Run a program of `requirements/<lock>.txt` in the checkout; its output goes to the terminal.

    Raises:
        TwinError: the program cannot be installed, failed, or found something.
    """
    code = subprocess.run(
        _command(lock, program, arguments), cwd=ROOT, stdin=subprocess.DEVNULL, check=False
    ).returncode
    if code != 0:
        raise TwinError(f"`{program}` ended with exit code {code}: what it found is above.")


def read(lock: str, program: str, arguments: Sequence[str]) -> str:
    """What a program of `requirements/<lock>.txt` prints.

    Raises:
        TwinError: the program cannot be installed, or failed.
    """
    done = subprocess.run(_command(lock, program, arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TwinError(f"`{program}` ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _command(lock: str, program: str, arguments: Sequence[str]) -> list[str]:
    return [str(_environment(lock) / "bin" / program), *arguments]


def _environment(lock: str) -> Path:
    """The environment of a lock file, made when it is missing or outdated."""
    venv, file = VENVS / lock, ROOT / "requirements" / f"{lock}.txt"
    stamp, wanted = venv / ".lock-digest", hashlib.sha256(file.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        python = str(venv / "bin" / "python")
        _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(venv))
        _uv("pip", "sync", "--quiet", "--python", python, "--require-hashes", "--compile-bytecode", str(file))
        stamp.write_text(wanted)
    return venv


def _uv(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TwinError(f"`uv {' '.join(arguments[:2])}` failed: {done.stderr.strip()[-500:]}")
