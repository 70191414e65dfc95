"""The CDK's bootstrap: its roles and asset bucket in the account and region of a stage."""

from __future__ import annotations

from infra.settings.deployment import SettingsError, load_settings
from twin.target import cdk
from twin.target.errors import TwinError
from twin.target.stage import Stage


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
