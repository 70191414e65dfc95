"""`twin ingest`: documents into the vector store, by the service's own ingest program."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from twin.ask.ingest_task import run_task
from twin.target.errors import TwinError
from twin.target.paths import ROOT
from twin.target.program import running
from twin.target.stage import Stage
from twin.target.vector_store import store_environment

PROGRAM = "services.rag.ingest"
# Of a program that failed: its own sentence, or the end of a traceback.
LAST_LINES = 12


@dataclass
class Output:
    """Output of the program, line by line: progress, skipped files, a report, and messages."""

    report: dict[str, Any] | None = None
    skipped: list[dict[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def take(self, line: str, bar: Progress) -> None:
        """Note a line and show progress."""
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            self.said.append(line.strip())
        elif {"done", "total"} <= parsed.keys():
            bar.update(bar.task_ids[0], completed=parsed["done"], total=parsed["total"])
        elif "skipped" in parsed:
            self.skipped.append(parsed["skipped"])
        elif "chunks_written" in parsed:
            self.report = parsed

    def finish(self, code: int | None, why: str = "") -> dict[str, Any]:
        """The report with what was skipped.

        Raises:
            TwinError: the program failed; with its own sentence.
        """
        said = "\n".join(line for line in self.said[-LAST_LINES:] if line)
        if code is None:
            raise TwinError(f"The task never ran: {why}.")
        if code != 0:
            raise TwinError(said or f"Ingest ended with exit code {code}{f' ({why})' if why else ''}.")
        if self.report is None:
            raise TwinError(f"Ingest is done, but its report was lost. {said}".strip())
        return {**self.report, "skipped": self.skipped}


def ingest(stage: Stage, source: str | Path, *, kind: str = "", author: str = "") -> dict[str, Any]:
    """Ingest a path, `s3://bucket/prefix` or a Git repository with a progress bar; returns the program's report.

    A bucket of a stage on AWS is read there, by a one-off task of the service; everything else by a process here.

    Args:
        source: where the documents are.
        kind: posts, articles or repositories, for a folder that is not laid out as <type>/<author>/.
        author: of documents that name none.

    Raises:
        TwinError: with the program's own sentence.
    """
    named = [*(("--type", kind) if kind else ()), *(("--author", author) if author else ())]
    arguments = [_absolute(str(source)), *named, "--progress-json"]
    # On standard error: `--json` into a file or a pipe still shows how far it is.
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task("Embedding chunks", total=None)
        if stage.local is None and str(source).startswith("s3://"):
            return _in_aws(stage, arguments, bar)
        return _here(stage, arguments, bar)


def _absolute(source: str) -> str:
    """A local source as an absolute path, since the program runs in the checkout."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() or not _is_remote(source) else source


def _is_remote(source: str) -> bool:
    return "://" in source or ":" in source.split("/", 1)[0]


def _in_aws(stage: Stage, arguments: list[str], bar: Progress) -> dict[str, Any]:
    output = Output()
    ended = run_task(stage, ["python", "-m", PROGRAM, *arguments], lambda line: output.take(line, bar))
    return output.finish(ended.exit_code, ended.reason)


def _here(stage: Stage, arguments: list[str], bar: Progress) -> dict[str, Any]:
    output = Output()
    command = [sys.executable, "-m", PROGRAM, *arguments]
    with running(command, cwd=ROOT, env=store_environment(stage, writes=True)) as process:
        for line in process.stdout or ():
            output.take(line, bar)
        code = process.wait()
    return output.finish(code)
