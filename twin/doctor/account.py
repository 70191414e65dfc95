"""Checks of settings, credentials, account and region."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from infra.settings.deployment import SettingsError, load_settings
from infra.settings.placeholders import placeholders
from twin.doctor.check import Check, Need
from twin.doctor.context import Context, Identity, SharedStage
from twin.doctor.finding import Finding, failed, ok
from twin.target.stage import LOCAL_REGION, named_region

LOG_IN = "set AWS_PROFILE, or run `aws sso login` (`aws configure sso` the first time)"


def open_context(stage: str) -> tuple[Context, list[Finding]]:
    """The context of a stage, and what opening it has shown about its settings and credentials."""
    try:
        settings = load_settings(stage)
        findings = [ok("Settings", f"infra/config/{stage}.toml is valid")]
    except SettingsError as error:
        settings = None
        why = "no stack can be synthesized"
        findings = [failed("Settings", str(error), why, f"correct infra/config/{stage}.toml or the TWIN_ variable")]
    if stage == "local":
        return Context(SharedStage(stage, LOCAL_REGION), settings), findings
    region = settings.region if settings else (named_region() or boto3.Session().region_name or LOCAL_REGION)
    target = SharedStage(stage, region, {"AWS_REGION": region})
    identity, finding = _identify(target)
    return Context(target, settings, identity), [*findings, finding]


def _identify(stage: SharedStage) -> tuple[Identity | None, Finding]:
    why = "nothing can be deployed, and checks of the account are skipped"
    try:
        caller = stage.client("sts", retries={"max_attempts": 1}).get_caller_identity()
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        return None, failed("AWS credentials", str(error), why, LOG_IN)
    return Identity(caller["Account"], caller["Arn"]), ok("AWS credentials", caller["Arn"])


def _account(context: Context) -> Iterator[Finding]:
    wanted, account = context.known.account, context.caller.account
    if wanted is None:
        yield ok("AWS account", f"{account} (the settings name none: the credentials decide)")
    elif wanted == account:
        yield ok("AWS account", account)
    else:
        why = "the CDK refuses, or the stage is deployed to the wrong account"
        fix = f"use a profile of account {wanted}, or change `account` in infra/config/{context.stage.name}.toml"
        yield failed("AWS account", f"credentials of {account}, settings for {wanted}", why, fix)


def _region(context: Context) -> Iterator[Finding]:
    wanted, found = context.known.region, named_region()
    if found in (None, wanted):
        yield ok("AWS region", wanted)
        return
    why = f"the stacks go to {wanted}, and the other commands would look for them in {found}"
    yield failed("AWS region", f"settings: {wanted}, this shell: {found}", why, f"export AWS_REGION={wanted}")


def _addresses(context: Context) -> Iterator[Finding]:
    found = placeholders(context.known)
    if not found:
        yield ok("Addresses", "no example among them")
    for name, url in found.items():
        why = "the stage would be deployed, and never answer a question"
        fix = f"`twin init --stage {context.stage.name}`, or set {name} in infra/config/{context.stage.name}.toml"
        yield failed("Addresses", f"{name} is the example {url}", why, fix)


CHECKS = (
    Check("AWS account", _account),
    Check("AWS region", _region, needs=(Need.SETTINGS,)),
    Check("Addresses", _addresses, needs=(Need.SETTINGS,)),
)
