"""Takes the steps of a deployment to AWS, each of which is skipped where it is done.

What is done is read from the account each time, so that the same command goes on after any failure or interruption:
CloudFormation and CodeBuild work on what was begun, and are followed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from infra.settings.deployment import DeploymentSettings
from twin.ask.documents import documents_of, ingest_source
from twin.deploy.deploy import Deployed, deploy
from twin.deploy.image.ensure import ensure_image
from twin.deploy.plan import BOOTSTRAP, DEPLOYMENT, IMAGE, INGEST, LAYER, Plan, Step
from twin.target.bootstrap import bootstrap_account
from twin.target.checkout import VARIABLE
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.paths import LOCAL, ROOT
from twin.target.program import running
from twin.target.progress import Progress
from twin.target.stage import Stage

SAME_COMMAND = "The same command goes on from here."


def run(stage: Stage, plan: Plan, progress: Progress, ask: Callable[[], None]) -> Deployed:
    """Take every step of a plan.

    Args:
        stage: on AWS.
        plan: of this stage.
        progress: called with each line.
        ask: asks the question, where the plan has one.

    Raises:
        TwinError: a step failed; with its reason and what to do.
    """
    # A setting of the stacks; the CDK's processes inherit it.
    os.environ[VARIABLE] = plan.release
    deployed: list[Deployed] = []
    steps: dict[str, Callable[[], object]] = {
        BOOTSTRAP: lambda: bootstrap_account(stage),
        IMAGE: lambda: ensure_image(stage, plan.settings, plan.release, progress),
        LAYER: lambda: build_layer(plan.settings),
        DEPLOYMENT: lambda: deployed.append(deploy(stage, progress)),
        INGEST: lambda: ingest_once(stage, plan.settings, progress),
    }
    for number, step in enumerate(plan.steps, 1):
        progress(f"Step {number} of {len(plan.steps)}: {step.what}")
        _take(step, number, len(plan.steps), steps.get(step.name, ask), progress)
    return deployed[0]


def build_layer(settings: DeploymentSettings) -> None:
    """Build the evaluation functions' layer, unless it is up to date.

    Raises:
        TwinError: it cannot be built.
    """
    version = settings.evaluation.runtime.removeprefix("python")
    command = [sys.executable, "-m", "scripts.build_evaluation_layer", "--python", version]
    with running(command, cwd=ROOT, start_new_session=True) as process:
        said = [line.rstrip() for line in process.stdout or ()]
        code = process.wait()
    if code != 0:
        raise TwinError("\n".join(said[-5:]) or f"The layer's build ended with exit code {code}.")


def ingest_once(stage: Stage, settings: DeploymentSettings, progress: Progress) -> None:
    """Ingest the stage's documents unless this machine has ingested the same ones into the same store.

    Raises:
        TwinError: the ingest failed.
    """
    source, why = documents_of(stage, settings)
    if source is None:
        progress(why)
        return
    mark, known = LOCAL / "ingested" / stage.name, _fingerprint(stage, settings, source)
    if mark.exists() and mark.read_text() == known:
        progress(f"{source} is in the store already")
        return
    report = ingest_source(stage, settings, source)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(known)
    progress(f"{report.get('documents', 'the')} documents of {source} are in the store")


def _take(step: Step, number: int, count: int, work: Callable[[], object], progress: Progress) -> None:
    try:
        work()
    except TwinError as error:
        reason = str(error)
    except (BotoCoreError, ClientError) as error:
        reason = f"AWS refused or could not be reached: {error}"
    except KeyboardInterrupt:
        progress(f"Interrupted in step {number} of {count} ({step.name}); what AWS has begun goes on. {SAME_COMMAND}")
        raise
    else:
        return
    raise TwinError(f"{reason}\nStep {number} of {count} ({step.name}) failed. {step.hint} {SAME_COMMAND}")


def _fingerprint(stage: Stage, settings: DeploymentSettings, source: str) -> str:
    """Hash of what is ingested and of the store that it goes into; another deployment's store is another one."""
    cloudformation = CloudFormation(stage)
    created = [
        (record.name, record.id)
        for record in cloudformation.records()
        if not record.is_deleted and record.name in (stage.stack("business"), stage.stack("vectors"))
    ]
    content = _listing(stage, source) if source.startswith("s3://") else _files(source)
    known = [str(settings.vectors.url), sorted(created), source, content]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _listing(stage: Stage, source: str) -> list[list[str]]:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    pages = stage.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [[each["Key"], each["ETag"]] for page in pages for each in page.get("Contents", ())]


def _files(source: str) -> list[list[str]]:
    from pathlib import Path

    found = sorted(path for path in Path(source).rglob("*") if path.is_file())
    return [[str(path), hashlib.sha256(path.read_bytes()).hexdigest()] for path in found]
