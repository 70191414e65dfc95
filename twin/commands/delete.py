"""`twin delete`: destroy, wait, and prove that nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from twin import cdk
from twin.cdk import Progress
from twin.deployment import key_file
from twin.inventory import Survivor, survivors
from twin.overrides import deployment_overrides
from twin.stages import Stage

SETTLE_SECONDS = 60.0
SETTLED = "does not exist"


def delete(stage: Stage, progress: Progress, checked: Callable[[str], None] | None = None) -> list[Survivor]:
    """Destroy every stack of the stage and list what survives; idempotent, since a destroyed stack is skipped.

    Returns:
        The survivors; an empty list is the proof.
    """
    overrides = deployment_overrides(stage)
    if _standing(stage):
        cdk.synth(stage.name, overrides)
        cdk.destroy(overrides, progress)
    left = survivors(stage, checked)
    deadline = time.monotonic() + SETTLE_SECONDS
    # Deletes settle after CloudFormation has called them done (load balancers, interfaces): look again for a while.
    while left and time.monotonic() < deadline:
        time.sleep(3)
        left = survivors(stage)
    if not left:
        key_file(stage).unlink(missing_ok=True)
    return left


def _standing(stage: Stage) -> bool:
    client = stage.client("cloudformation")
    for stack in stage.stacks:
        try:
            client.describe_stacks(StackName=stack)
            return True
        except ClientError as error:
            if SETTLED not in str(error):
                raise
    return False
