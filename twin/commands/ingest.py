"""`twin ingest`: documents into the vector store, by the service's own ingest program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.progress import Progress

from twin.console import console
from twin.errors import TwinError
from twin.project import EMBEDDING_MODEL, ROOT
from twin.stages import Stage, address


def ingest(stage: Stage, path: Path) -> dict[str, Any]:
    """Ingest `path` with a progress bar; returns the program's report.

    Raises:
        TwinError: with the program's own sentence.
    """
    command = [sys.executable, "-m", "services.rag.ingest", str(path.resolve()), "--progress-json"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=_environment(stage), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - asked for above
    said: list[str] = []
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("Embedding chunks", total=None)
            for line in process.stderr:
                step = _step(line)
                if step is None:
                    said.append(line.strip())
                else:
                    bar.update(task, completed=step["done"], total=step["total"])
        report = process.stdout.read()
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code != 0:
        raise TwinError(" ".join(line for line in said if line) or f"Ingest ended with exit code {code}.")
    found: dict[str, Any] = json.loads(report)
    return found


def _step(line: str) -> dict[str, int] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) and {"done", "total"} <= parsed.keys() else None


def _environment(stage: Stage) -> dict[str, str]:
    """On AWS the caller's own QDRANT_URL and QDRANT_API_KEY count; locally the local cloud's store."""
    model = {"EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL)}
    if stage.local is None:
        return {**model, **os.environ}
    return {**os.environ, **model, "QDRANT_URL": address(stage.local, "qdrant")}
