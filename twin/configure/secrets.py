"""Reads and fills the secrets of a stage."""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from twin.target.deployment import is_untouched, outputs
from twin.target.errors import TwinError
from twin.target.stage import Stage, connect
from twin.target.stage_secrets import SECRETS, StageSecret, keep, pending, put, secret

FILLED, EMPTY, WAITS, ABSENT = "filled", "never filled", "waits for the deployment", "not in this stage"


@dataclass(frozen=True)
class SecretState:
    """A secret and whether it was ever filled."""

    secret: StageSecret
    state: str
    arn: str = ""

    def as_dict(self) -> dict[str, str]:
        """The state as JSON has it."""
        return {"secret": self.secret.name, "holds": self.secret.holds, "state": self.state, "arn": self.arn}


def states(stage: Stage) -> list[SecretState]:
    """The state of every secret that a stage may have.

    Raises:
        TwinError: the stage is not deployed, and nothing waits for its deployment.
    """
    waiting = pending(stage.name)
    try:
        found = outputs(stage)
    except TwinError:
        if not waiting:
            raise
        found = {}
    client = stage.client("secretsmanager")
    result = []
    for each in SECRETS:
        arn = found.get(each.output, "")
        if each.name in waiting:
            state = WAITS
        elif not arn:
            state = ABSENT
        else:
            state = EMPTY if is_untouched(client.describe_secret(SecretId=arn)) else FILLED
        result.append(SecretState(each, state, arn))
    return result


def fill(stage_name: str, name: str, value: str) -> str:
    """Fill a secret, at once where the stage is deployed, else with its deployment; returns what was done.

    Raises:
        TwinError: no such secret, an empty value, or a stage that has no such secret.
    """
    wanted = secret(name)
    if not value:
        raise TwinError(f"The {wanted.holds} is empty: nothing was changed.")
    try:
        stage = connect(stage_name)
        found = outputs(stage)
    except (TwinError, BotoCoreError, ClientError):
        keep(stage_name, name, value)
        return (
            f"Kept on this machine: the next `twin deploy --stage {stage_name}` puts the {wanted.holds} in its place."
        )
    put(stage, found, name, value)
    return f"The {wanted.holds} of stage {stage_name} is set; it works within a minute."
