"""Values of a stage's secrets that no template holds: put into Secrets Manager, or kept here until there is a stage."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.paths import LOCAL
from twin.target.stage import Stage


@dataclass(frozen=True)
class StageSecret:
    """A secret of a stage.

    Attributes:
        name: on the command line.
        output: stack output that has its ARN; a stage may be without.
        holds: what it holds, for people.
    """

    name: str
    output: str
    holds: str


SECRETS = (
    StageSecret("opik", "OpikApiKeySecretArn", "API key of Opik"),
    StageSecret("qdrant", "QdrantApiKeySecretArn", "key of Qdrant that only reads, for the service"),
    StageSecret("qdrant-write", "QdrantWriteKeySecretArn", "key of Qdrant that may write, for ingest and restore"),
    StageSecret("slack", "SlackWebhookSecretArn", "incoming webhook that alarms are posted to"),
    StageSecret("judge", "JudgeApiKeySecretArn", "API key of the judge, for a judge outside AWS"),
)


OF_THE_STORE = ("qdrant", "qdrant-write")


def generated(stage: Stage) -> tuple[str, ...]:
    """Names of the secrets that a deployed stage generates itself: the keys of a store on its own machine."""
    hosts = CloudFormation(stage).stack(stage.stack("vectors")) is not None
    return OF_THE_STORE if hosts else ()


def secret(name: str) -> StageSecret:
    """The secret called `name`.

    Raises:
        TwinError: there is none.
    """
    for each in SECRETS:
        if each.name == name:
            return each
    raise TwinError(f"There is no secret {name!r}: use one of {', '.join(each.name for each in SECRETS)}.")


def keep(stage: str, name: str, value: str) -> Path:
    """Keep a value on this machine, readable by its user alone, until the stage is deployed; returns the file."""
    path = _path(stage)
    values = {**pending(stage), secret(name).name: value}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file)
    scratch.replace(path)
    return path


def pending(stage: str) -> dict[str, str]:
    """Values that wait for the stage's deployment, by secret.

    Raises:
        TwinError: the file is damaged.
    """
    path = _path(stage)
    if not path.exists():
        return {}
    try:
        return {str(name): str(value) for name, value in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError):
        raise TwinError(f"{path} is damaged: delete it and set the secrets again.") from None


def put(stage: Stage, found: Mapping[str, str], name: str, value: str) -> None:
    """Put a value into the stage's secret.

    Args:
        found: outputs of the stage's stacks.

    Raises:
        TwinError: the stage has no such secret, or generates it.
    """
    wanted = secret(name)
    if wanted.output not in found:
        raise TwinError(f"Stage {stage.name} has no secret for the {wanted.holds}: its settings need none.")
    if name in generated(stage):
        raise TwinError(f"Stage {stage.name} generates the {wanted.holds}, for the store on its own machine.")
    stage.client("secretsmanager").put_secret_value(SecretId=found[wanted.output], SecretString=value)


def put_pending(stage: Stage, found: Mapping[str, str]) -> list[str]:
    """Put every value that waits into its secret, and forget it here; returns the secrets' names.

    A value for a secret that the stage does not have, or generates, is kept: another deployment may want it.

    Raises:
        TwinError: the file is damaged.
    """
    waiting = pending(stage.name)
    left = generated(stage) if waiting else ()
    done = [name for name in waiting if secret(name).output in found and name not in left]
    for name in done:
        put(stage, found, name, waiting.pop(name))
    if done:
        _path(stage.name).unlink()
        for name, value in waiting.items():
            keep(stage.name, name, value)
    return done


def _path(stage: str) -> Path:
    return LOCAL / "secrets" / f"{stage}.json"
