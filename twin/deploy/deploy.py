"""The stacks of a stage by the real CDK command line, the same way for every stage.

The program runs on the operator's machine or in a workflow. For stage `local` it starts the local cloud first
(`local.py`); for any other stage it uses the AWS credentials of the shell. What `twin deploy` does on AWS before and
after is in `plan.py` and `run.py`: the bootstrap, the image, the functions' layer, the documents.

1. Target: which account, region and addresses the stage has (`twin/target/stage.py`).
2. Overrides (`twin/target/cdk_environment.py`): what only the running stage knows, as environment of the CDK. These
   are the local cloud's addresses, and a number of the model's copies (`twin/target/kept_copies.py`) with which a
   sleeping endpoint stays asleep and an unchanged one is not touched.
3. Bootstrap: the CDK's own stack must exist. The local cloud gets it here; on AWS a missing one ends the command with
   what to run, because bootstrapping is a decision of the account's owner, which a person confirms (`plan.py`).
4. `cdk deploy` (`twin/target/cdk.py`): Node runs the CDK, the CDK runs `infra/app.py`, which turns the stage's
   settings into templates; CloudFormation deploys the stacks, up to four at a time, in the order of their
   dependencies. The CDK's output is read line by line: completed resources become progress, failed ones are
   remembered.
5. Outputs, scaling and secrets: read the stacks' outputs, resume the scaling of a model that the guard has parked
   (`twin/target/parking.py`), in which CloudFormation sees no change, put the hash of this person's API key into its
   secret (the key itself stays in `.local/keys`), fill the secrets that `twin init` and `twin secrets set` have kept
   for this, and point the local notifications at the sink.
6. Ready (`ready.py`): ask `/readyz` through the stage's address until what the deployment is responsible for works,
   for 45 seconds at most. A model without copies is left asleep, and a store whose key was not filled in yet is
   reported with what to fill.
7. Prompts: register the versions in use in Opik.

When something fails:

- In step 4 CloudFormation rolls back. `failures/` collects the reasons and the last log lines of containers as soon
  as a resource fails, since the rollback deletes the log groups, and explains them with what to do.
- In step 6 the error says which dependency is not ready and why ECS stopped tasks; the stacks stay as they are.
  Locally a resource that cannot get ready by itself ends the wait with its reason.
- In step 7 the failure is printed and the deployment counts as done.

The demo and the drill call the steps one by one (`twin/local/`). docs/doctor.md explains failures for operators.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from infra.settings.deployment import EPHEMERAL, SettingsError, load_settings
from infra.settings.placeholders import placeholders
from localcloud import lifecycle
from services.rag.prompts.library import PromptLibrary
from twin.deploy.failures.report import FailureRecorder, explained_unready
from twin.deploy.ready import wait_until_ready
from twin.deploy.settled import wait_until_settled
from twin.prompts.versions import register
from twin.target import cdk
from twin.target.bootstrap import BOOTSTRAP_STACK, bootstrap_account
from twin.target.cdk_environment import deployment_overrides
from twin.target.cloudformation import CloudFormation
from twin.target.deployment import ensure_api_key, fill_local_secrets, outputs
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader
from twin.target.parking import unpark
from twin.target.paths import STATE_ROOT
from twin.target.progress import Progress
from twin.target.stage import Stage, connect, local_stage
from twin.target.stage_secrets import put_pending

START_SECONDS = 60.0
EXPRESS_READY_SECONDS = 1800.0
"""For tasks, load balancer and distribution, which CloudFormation waits for otherwise."""


@dataclass(frozen=True)
class Deployed:
    """A deployed stage whose service is ready."""

    stage: Stage
    outputs: dict[str, str]


def target(name: str) -> Stage:
    """The stage to deploy to; `local` is started when it does not run."""
    if name == "local":
        return local_stage(lifecycle.start(STATE_ROOT, START_SECONDS))
    return connect(name)


def deploy(stage: Stage, progress: Progress, *, only: tuple[str, ...] = ()) -> Deployed:
    """Deploy all stacks (or `only` some), hand out the API key, and wait until the service is ready.

    Raises:
        TwinError: with what failed and why.
    """
    refuse_examples(stage)
    overrides = deployment_overrides(stage)
    ensure_bootstrap(stage, progress)
    deploy_stacks(stage, overrides, progress, only=only)
    return finish(stage, progress)


def refuse_examples(stage: Stage) -> None:
    """Refuse a stage on AWS whose settings still name an address that stands in them as an example.

    Raises:
        TwinError: with each of them, and what to do; or the settings are wrong.
    """
    if stage.is_local:
        return
    try:
        found = placeholders(load_settings(stage.name))
    except SettingsError as error:
        raise TwinError(str(error)) from None
    if found:
        named = ", ".join(f"{name} is the example {url}" for name, url in found.items())
        raise TwinError(f"Stage {stage.name} is not set up: {named}. Run `twin init --stage {stage.name}`.")


def is_express(stage: Stage) -> bool:
    """Whether CloudFormation is not to wait for what it makes: previews, which are many and short-lived."""
    return EPHEMERAL.fullmatch(stage.name) is not None


def deploy_stacks(stage: Stage, overrides: dict[str, str], progress: Progress, *, only: tuple[str, ...] = ()) -> None:
    """Synthesize the stage and deploy it, all stacks or `only` some.

    Raises:
        TwinError: with each failed resource, its cause in plain words, its container's last lines and what to do.
    """
    recorder = FailureRecorder(stage)
    names = [stage.stack(name) for name in only]
    try:
        cdk.deploy(
            stage.name,
            names,
            overrides,
            progress,
            exclusively=bool(only),
            express=is_express(stage),
            failed=recorder.record,
        )
    except TwinError as error:
        raise recorder.explained(error) from None


def finish(stage: Stage, progress: Progress) -> Deployed:
    """Finish a deployment after `cdk deploy`: unpark, hand out the API key, fill secrets, wait until it is ready.

    What the stage still needs, or does only with its first question, is said as progress.

    Raises:
        TwinError: when the service does not get ready, with the reason.
    """
    found = outputs(stage)
    if is_express(stage):
        wait_until_settled(stage, found, progress)
    if unpark(stage):
        progress(f"the model of stage {stage.name} was parked: its scaling goes on, and a question wakes it")
    ensure_api_key(stage, found["ApiKeysSecretArn"])
    fill_local_secrets(stage, found)
    for name in put_pending(stage, found):
        progress(f"secret {name} filled")
    try:
        notes = wait_until_ready(stage, found, EXPRESS_READY_SECONDS if is_express(stage) else None)
    except TwinError as error:
        raise explained_unready(error, stage, found["ClusterName"], found["ServiceName"]) from None
    for note in notes:
        progress(note)
    _register_prompts(stage, found)
    return Deployed(stage, found)


def _register_prompts(stage: Stage, found: dict[str, str]) -> None:
    """Register the prompts in use in Opik; a failure is printed only, since the service is deployed."""
    reader = OpikReader(stage, found["OpikProjectName"])
    try:
        register(reader.api, PromptLibrary(), reader.project)
    except TwinError as error:
        print(f"   {error}", file=sys.stderr)


def ensure_bootstrap(stage: Stage, progress: Progress) -> None:
    """Bootstrap the local cloud; on AWS refuse with the command, since bootstrapping is the account owner's decision.

    Raises:
        TwinError: when an AWS account and region is not bootstrapped.
    """
    if CloudFormation(stage).stack(BOOTSTRAP_STACK) is not None:
        return
    if not stage.is_local:
        account = stage.client("sts").get_caller_identity()["Account"]
        raise TwinError(
            f"Account {account} has no CDK bootstrap stack in {stage.region}: run "
            f"`twin account bootstrap --stage {stage.name}` once."
        )
    bootstrap_account(stage)
    progress(f"{BOOTSTRAP_STACK} bootstrapped")
