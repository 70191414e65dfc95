"""Deletes stages one after the other, each with its proof, and finds previews that are past their life."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra.names import PREFIX
from localcloud import lifecycle
from twin.delete.delete import delete
from twin.delete.view import proof
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.github_job import append_step_summary
from twin.target.paths import STATE_ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage, connect

STACK = re.compile(rf"{PREFIX}(pr-[1-9]\d{{0,6}})-[a-z]+")


def delete_all(stages: Sequence[str], progress: Progress) -> str:
    """Delete `stages` and put the result on the run's page; returns the proof as a sentence.

    Raises:
        TwinError: naming the survivors, and the stages that could not be deleted at all.
    """
    left: list[str] = []
    failed: list[str] = []
    for stage in stages:
        try:
            survivors = delete(connect(stage), progress)
        except (TwinError, BotoCoreError, ClientError) as error:
            # One stage that cannot be deleted must not keep the others alive.
            failed.append(f"{stage}: {error}")
            continue
        left += [f"{stage}: {each.service} {each.kind} {each.name}" for each in survivors]
    found = [*failed, *left]
    sentence = f"0 survivors of {', '.join(stages) or 'nothing'}."
    append_step_summary("\n".join(f"- {line}" for line in found) or sentence)
    if found:
        raise TwinError(f"Not everything is gone: {'; '.join(found)}.")
    return sentence


def delete_with_proof(stage: Stage, file: Path, progress: Progress) -> None:
    """Delete a stage and write what `twin delete --json` prints into `file`: survivors and the services searched.

    The file is empty until then, so that a failed deletion can be distinguished from one that did not run.

    Raises:
        TwinError: something survived, or the stage could not be deleted.
    """
    file.write_text("", encoding="utf-8")
    left = delete(stage, progress)
    file.write_text(json.dumps(proof(left), indent=1), encoding="utf-8")
    if left:
        raise TwinError(f"{len(left)} survivors of {stage.name}; they are in {file}.")
    if stage.is_local:
        lifecycle.remove_data(STATE_ROOT)


def expired_previews(region: Stage, now: datetime, life: timedelta) -> list[str]:
    """Stages of pull requests whose youngest stack was last deployed longer than `life` ago, in order.

    `region` provides the client: its account and region are searched.
    """
    touched: dict[str, datetime] = {}
    for stack in CloudFormation(region).records():
        found = STACK.fullmatch(stack.name)
        if found is not None and not stack.is_deleted:
            touched[found[1]] = max(stack.changed_at, touched.get(found[1], stack.changed_at))
    return sorted(stage for stage, when in touched.items() if now - when > life)
