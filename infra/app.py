"""CDK app: builds the stacks of one stage from its settings; `cdk.json` names it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.constructs.shared.references import follow
from infra.constructs.shared.tagging import tag_everything
from infra.names import DELIVERY_STACK, IMAGE_STACK, Names
from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings
from infra.stacks.delivery import DeliveryStack
from infra.stacks.evaluation import EvaluationStack
from infra.stacks.guard import GuardStack
from infra.stacks.image import ImageStack
from infra.stacks.llm import LlmStack
from infra.stacks.network import NetworkStack
from infra.stacks.rag import RagStack
from infra.stacks.vectors import VectorsStack

DEFAULT_STAGE = "local"
ONLY_IMAGE = "image"
"""Context: `-c image=true` synthesizes the account's Image stack instead of a stage."""


def build(app: cdk.App, settings: DeploymentSettings, now: datetime) -> dict[str, cdk.Stack]:
    """Add every stack of a stage to `app`, wired, tagged and checked; `now` is the start of the stage's life."""
    names = Names.of(settings)
    env = cdk.Environment(account=settings.account, region=settings.region)
    if settings.account is not None:
        # CDK would otherwise look these up in the account.
        key = f"availability-zones:account={settings.account}:region={settings.region}"
        app.node.set_context(key, list(settings.availability_zones))
    # Templates ask for the version of the bootstrap stack of this qualifier, and publish assets to its bucket.
    app.node.set_context("@aws-cdk/core:bootstrapQualifier", settings.delivery.qualifier)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    network = NetworkStack(app, names.stack("network"), settings=settings, env=env)
    hosted = settings.vectors.hosted
    vectors = (
        VectorsStack(app, names.stack("vectors"), settings=settings, hosted=hosted, env=env, network=network)
        if hosted
        else None
    )
    llm = LlmStack(app, names.stack("llm"), settings=settings, env=env)
    evaluation = EvaluationStack(app, names.stack("evaluation"), settings=settings, env=env)
    rag = RagStack(
        app,
        names.stack("business"),
        settings=settings,
        env=env,
        network=network,
        vectors=vectors.store if vectors else None,
        samples=evaluation.samples.queue,
        opik_key=evaluation.opik_key,
        alerts=evaluation.alerts.topic,
    )
    guard = GuardStack(app, names.stack("guard"), settings=settings, env=env, alerts=evaluation.alerts, now=now)
    optional = [vectors] if vectors else []
    follow([rag, guard, *optional], [network, evaluation, *optional])
    # These refer to the LLM stack by name only, so CloudFormation cannot derive the order.
    rag.add_stack_dependency(llm)
    guard.add_stack_dependency(llm)
    tag_everything(app, settings.stage, settings.tags)
    stacks: dict[str, cdk.Stack] = {
        "network": network,
        "llm": llm,
        "business": rag,
        "evaluation": evaluation,
        "guard": guard,
        **({"vectors": vectors} if vectors else {}),
    }
    # The Delivery stack is the account's.
    if settings.delivery.repository is None or settings.stage == DEFAULT_STAGE or settings.is_preview:
        return stacks
    return {**stacks, "delivery": DeliveryStack(app, DELIVERY_STACK, settings=settings, env=env)}


def build_image(app: cdk.App, settings: DeploymentSettings) -> ImageStack:
    """Add the account's Image stack to `app`, which holds no stage then."""
    app.node.set_context("@aws-cdk/core:bootstrapQualifier", settings.delivery.qualifier)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    env = cdk.Environment(account=settings.account, region=settings.region)
    return ImageStack(app, IMAGE_STACK, settings=settings, env=env)


def main() -> int:
    """Synthesize the stage of `-c stage=...` or the variable STAGE, or the account's Image stack (`-c image=true`).

    Exit code 1: a rule is broken, 2: settings are wrong.
    """
    app = cdk.App()
    stage = app.node.try_get_context("stage") or os.environ.get("STAGE") or DEFAULT_STAGE
    try:
        settings = load_settings(str(stage))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if app.node.try_get_context(ONLY_IMAGE):
        build_image(app, settings)
    else:
        build(app, settings, datetime.now(UTC))
    try:
        app.synth()
    except RuntimeError as error:
        if "ValidationFailed" not in str(error):
            raise
        # The CDK has printed the findings already.
        sys.stderr.write(f"Stage {stage}: the templates break a rule; fix it or acknowledge it with a reason.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
