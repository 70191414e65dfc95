"""Deletes stages one after the other, each with its proof; one that resists does not save the others."""

from __future__ import annotations

from collections.abc import Sequence

from twin.delete.delete import delete
from twin.target.errors import TwinError
from twin.target.github_job import append_step_summary
from twin.target.stage import connect
from twin.terminal.progress import Progress


def delete_all(stages: Sequence[str], progress: Progress) -> str:
    """Delete `stages` and say so on the run's page; returns the proof as a sentence.

    Raises:
        TwinError: naming the survivors, and the stages that could not be deleted at all.
    """
    left: list[str] = []
    failed: list[str] = []
    for stage in stages:
        try:
            survivors = delete(connect(stage), progress)
        except TwinError as error:
            # The others must not live on because this one resists.
            failed.append(f"{stage}: {error}")
            continue
        left += [f"{stage}: {each.service} {each.kind} {each.name}" for each in survivors]
    found = [*failed, *left]
    proof = f"0 survivors of {', '.join(stages) or 'nothing'}."
    append_step_summary("\n".join(f"- {line}" for line in found) or proof)
    if found:
        raise TwinError(f"Not everything is gone: {'; '.join(found)}.")
    return proof
