"""The CDK's bootstrap: its roles and asset bucket in the account and region of a stage."""

from __future__ import annotations

from infra.settings.deployment import SettingsError, load_settings
from twin.target import cdk
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.stage import Stage

BOOTSTRAP_STACK = "CDKToolkit"
BROKEN = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
"""States of a bootstrap stack that never worked, which the CDK does not mend."""


def bootstrap_account(stage: Stage) -> str:
    """Prepare the account and region of `stage` under the settings' qualifier; returns `<account>/<region>`.

    Raises:
        TwinError: the stage's settings are wrong, or what the CDK said.
    """
    try:
        qualifier = load_settings(stage.name).delivery.qualifier
    except SettingsError as error:
        raise TwinError(str(error)) from None
    account = stage.client("sts").get_caller_identity()["Account"]
    cdk.bootstrap(account, stage.region, qualifier, stage.environment)
    return f"{account}/{stage.region}"


def is_bootstrapped(stage: Stage) -> bool:
    """Whether the bootstrap stack was once complete.

    Raises:
        TwinError: its creation has failed, so that it must be deleted first.
    """
    stack = CloudFormation(stage).stack(BOOTSTRAP_STACK)
    if stack is None:
        return False
    if stack.status in BROKEN:
        raise TwinError(
            f"The bootstrap of this account is {stack.status}: delete it with `aws cloudformation delete-stack "
            f"--region {stage.region} --stack-name {BOOTSTRAP_STACK}`, then run the same command again."
        )
    return stack.status.endswith("_COMPLETE")
