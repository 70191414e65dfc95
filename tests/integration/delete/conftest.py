"""The stage's synthesized stacks in an emulator, deployed by boto3: no command line, so that many cases stay fast."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud.emulator.faults import FAULT
from tests.aws import aws_environment
from tests.infra.conftest import Synthesize, Template, Templates, _clean_environment, read, synthesize
from tests.integration.emulator.conftest import Emulator, eventually, running
from twin.target.stage import Stage

__all__ = ["_clean_environment", "synthesize"]

STAGE = "local"
ORDER = ("network", "llm", "evaluation", "business", "guard")
"""In which the stacks are created: what is imported comes first."""
ASSETS = "cdk-hnb659fds-assets-000000000000-us-east-1"
TAGS = [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": STAGE}]
DONE = ("_COMPLETE", "_FAILED")
FACTOR = "150"
"""Of the emulator: a distribution goes two seconds after its stack."""


@dataclass
class Cloud:
    """An emulator with what a bootstrapped account holds, and the stage's stacks in it."""

    emulator: Emulator
    templates: Templates
    stage: Stage

    @property
    def cloudformation(self) -> Any:
        return self.emulator.client("cloudformation")

    def name(self, part: str) -> str:
        return f"twin-{STAGE}-{part}"

    def create(self, part: str, template: Template | None = None, *, rollback: bool = True) -> str:
        """The status in which a new stack settles."""
        self.cloudformation.create_stack(
            StackName=self.name(part),
            TemplateURL=self._uploaded(template or self.templates[part]),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            Tags=TAGS,
            OnFailure="ROLLBACK" if rollback else "DO_NOTHING",
        )
        return self.settled(part)

    def update(self, part: str, template: Template) -> str:
        """The status in which a changed stack settles."""
        self.cloudformation.update_stack(
            StackName=self.name(part),
            TemplateURL=self._uploaded(template),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
            Tags=TAGS,
        )
        return self.settled(part)

    def _uploaded(self, template: Template) -> str:
        """Address of a template in S3: a request takes 51,200 bytes, and the command line uploads every template."""
        body = json.dumps(template)
        key = f"{hashlib.sha256(body.encode()).hexdigest()}.json"
        self.emulator.client("s3").put_object(Bucket=ASSETS, Key=key, Body=body.encode())
        return f"https://s3.us-east-1.amazonaws.com/{ASSETS}/{key}"

    def standing(self) -> set[str]:
        """Names of the stacks that exist."""
        return {stack["StackName"] for stack in self.cloudformation.describe_stacks()["Stacks"]}

    def create_all(self, parts: Sequence[str] = ORDER) -> None:
        """Create stacks that do not stand yet."""
        standing = self.standing()
        for part in parts:
            if self.name(part) not in standing:
                assert self.create(part) == "CREATE_COMPLETE", self.failures(part)

    def status(self, part: str) -> str:
        return str(self.cloudformation.describe_stacks(StackName=self.name(part))["Stacks"][0]["StackStatus"])

    def settled(self, part: str) -> str:
        def done() -> str:
            status = self.status(part)
            return status if status.endswith(DONE) and "CLEANUP" not in status else ""

        return str(eventually(done, f"{part} is still in progress", seconds=90))

    def failures(self, part: str) -> list[str]:
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name(part))
        failed = [
            event for page in pages for event in page["StackEvents"] if event["ResourceStatus"].endswith("_FAILED")
        ]
        return [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed]

    def physical_ids(self, part: str) -> dict[str, str]:
        """Physical id by logical id."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name(part))
        return {
            found["LogicalResourceId"]: found["PhysicalResourceId"]
            for page in pages
            for found in page["StackResourceSummaries"]
        }


class RecordedStage(Stage):
    """A stage that remembers which actions `twin` asked AWS for; what tests ask themselves goes other ways."""

    def _new_client(self, service: str, **config: Any) -> Any:
        client = super()._new_client(service, **config)
        client.meta.events.register("before-call", _record)
        return client


ACTIONS: set[str] = set()
"""As IAM names them."""
SERVICES = {"monitoring": "cloudwatch", "tagging": "tag"}
OPERATIONS = {
    "budgets:DescribeBudgets": "budgets:ViewBudget",
    "s3:DeleteObjects": "s3:DeleteObjectVersion",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
}


def _record(model: Any, **_: Any) -> None:
    service = str(model.service_model.signing_name)
    action = f"{SERVICES.get(service, service)}:{model.name}"
    ACTIONS.add(OPERATIONS.get(action, action))


def holding(**resources: Template) -> Template:
    """A template with these resources."""
    return {"Resources": resources}


def failing(template: Template, logical_id: str, **fault: Any) -> Template:
    """The template with one resource that fails: `create="reason"`, or `delete=<times>`."""
    resources = template["Resources"]
    found = resources[logical_id]
    metadata = {**found.get("Metadata", {}), FAULT: fault}
    return {**template, "Resources": {**resources, logical_id: {**found, "Metadata": metadata}}}


def _bootstrap(emulator: Emulator, output: Path) -> None:
    """What `cdk bootstrap` and the publishing of assets leave in an account."""
    emulator.client("ssm").put_parameter(
        Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String", Overwrite=True
    )
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=ASSETS)
    for manifest in output.glob("*.assets.json"):
        for asset in json.loads(manifest.read_text())["files"].values():
            if asset["source"]["packaging"] == "zip":
                body = _zipped(output / asset["source"]["path"])
                for place in asset["destinations"].values():
                    s3.put_object(Bucket=ASSETS, Key=place["objectKey"], Body=body)


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def assembly(synthesize: Synthesize) -> Path:
    return synthesize(STAGE)


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, assembly: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One emulator per module, so that what one leaves is no survivor of another; `FACTOR` of it is its clock's."""
    factor = getattr(request.module, "FACTOR", FACTOR)
    with (
        running(tmp_path_factory.mktemp("emulator"), LOCALCLOUD_TIME_FACTOR=factor) as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in aws_environment(emulator.url).items():
            patch.setenv(name, value)
        _bootstrap(emulator, assembly)
        yield Cloud(emulator, read(assembly, STAGE), RecordedStage(STAGE, "us-east-1"))
