"""The Image stack: what builds the service's image in the account, from what, and with which rights."""

from __future__ import annotations

import fnmatch
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from infra.app import build, build_image
from infra.constructs.image.build import HUB, MIRROR, base_image, specification
from infra.names import ACCOUNT_STACKS, IMAGE_STACK
from infra.settings.deployment import SettingsError, load_settings
from localcloud.emulator.services.build_commands import copied
from twin.cost import assembly, prices
from twin.cost.assumptions import parse
from twin.cost.estimate import estimate
from twin.target.checkout import INPUTS
from twin.target.stage import STAGE_NAME

from .conftest import NOW, ROOT, Synthesize, Template, only, resources
from .test_templates import violations

DIGEST = f"ghcr.io/octo-lab/llm-twin/rag@sha256:{'a' * 64}"


@pytest.fixture(scope="module")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("image")
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(output), context=context)
    build_image(app, load_settings("dev"))
    app.synth()
    return output


@pytest.fixture(scope="module")
def template(assembled: Path) -> Template:
    found: Template = json.loads((assembled / f"{IMAGE_STACK}.template.json").read_text())
    return found


@pytest.fixture(scope="module")
def source(assembled: Path) -> set[str]:
    """Files of the build's source."""
    (folder,) = assembled.glob("asset.*")
    if folder.is_file():
        return set(zipfile.ZipFile(folder).namelist())
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def statements(template: Template) -> Iterator[dict[str, Any]]:
    yield from only(template, "IAM::Policy")["PolicyDocument"]["Statement"]


def test_the_source_is_what_the_dockerfile_copies_and_nothing_else(source: set[str]) -> None:
    dockerfile = (ROOT / "images" / "rag" / "Dockerfile").read_text()
    wanted = {*copied(dockerfile), "images/rag/Dockerfile"}
    for each in wanted:
        assert [name for name in source if name == each or name.startswith(f"{each}/")], each
    assert [name for name in source if not any(name == each or name.startswith(f"{each}/") for each in wanted)] == []
    assert [name for name in source if fnmatch.fnmatch(name, "*__pycache__*")] == []
    # The same files decide the release's name.
    assert {each.rstrip("/") for each in wanted} == set(INPUTS)


def test_it_builds_for_arm64_in_time_with_docker_and_a_cache(template: Template) -> None:
    project = only(template, "CodeBuild::Project")
    environment = project["Environment"]
    assert (environment["Type"], environment["PrivilegedMode"]) == ("ARM_CONTAINER", True)
    assert "aarch64" in environment["Image"]
    assert (project["TimeoutInMinutes"], project["QueuedTimeoutInMinutes"]) == (30, 30)
    assert project["Cache"] == {"Type": "LOCAL", "Modes": ["LOCAL_DOCKER_LAYER_CACHE"]}
    variables = {each["Name"]: each["Value"] for each in environment["EnvironmentVariables"]}
    assert variables["BASE"].startswith(MIRROR) and variables["BASE_ELSEWHERE"] == base_image()
    assert base_image().startswith(HUB) and re.search(r"@sha256:[0-9a-f]{64}$", base_image())
    assert json.loads(project["Source"]["BuildSpec"]) == specification()
    assert only(template, "Logs::LogGroup")["RetentionInDays"] == 30


def test_its_role_may_build_and_nothing_else(template: Template) -> None:
    rights = {
        (action, json.dumps(each["Resource"]))
        for each in statements(template)
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    actions = {action for action, _ in rights}
    assert actions == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "s3:GetObject", "s3:GetObjectVersion"),
        *("ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload"),
        *("ecr:PutImage", "ecr:UploadLayerPart", "ecr:GetAuthorizationToken"),
    }
    assert {action for action, resource in rights if resource == '"*"'} == {"ecr:GetAuthorizationToken"}
    assert all(".zip" in resource for action, resource in rights if action.startswith("s3:"))
    trust = only(template, "IAM::Role")["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert set(trust["Condition"]["StringEquals"]) == {"aws:SourceAccount", "aws:SourceArn"}


def test_the_repository_keeps_what_stages_run(template: Template, assembled: Path) -> None:
    (repository,) = resources(template, "ECR::Repository").values()
    properties = repository["Properties"]
    assert properties["RepositoryName"] == load_settings("prod").rag.image_repository
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 300}
    # A repository that outlives its stack could never be in one again.
    assert repository["DeletionPolicy"] == "Delete" and properties["EmptyOnDelete"] is True
    manifest = json.loads((assembled / "manifest.json").read_text())
    assert manifest["artifacts"][IMAGE_STACK]["properties"]["terminationProtection"] is True


def test_no_stage_can_own_it_by_a_tag(template: Template) -> None:
    for kind in ("ECR::Repository", "CodeBuild::Project", "IAM::Role", "Logs::LogGroup"):
        tags = {tag["Key"]: tag["Value"] for tag in only(template, kind)["Tags"]}
        assert tags["project"] == "llm-twin"
        assert STAGE_NAME.fullmatch(tags["stage"]) is None


def test_a_stage_does_not_hold_the_accounts_stacks(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    assert not {stack.stack_name for stack in build(app, load_settings("dev"), NOW).values()} & set(ACCOUNT_STACKS)


def test_nothing_is_left_for_cdk_nag_or_without_a_price(assembled: Path) -> None:
    assert [rule for rule, severity in violations(assembled) if severity == "error"] == []
    found = estimate(assembly.read(assembled), prices.read(prices.SHIPPED), parse(()))
    assert found.unknown == ()


def test_a_published_image_is_taken_as_it_is(synthesize: Synthesize) -> None:
    output = synthesize("dev", {"TWIN_RAG__IMAGE": DIGEST})
    business = json.loads((output / "twin-dev-business.template.json").read_text())
    tasks = resources(business, "ECS::TaskDefinition").values()
    assert {each["Properties"]["ContainerDefinitions"][0]["Image"] for each in tasks} == {DIGEST}
    assert "ecr:" not in json.dumps(business)


@pytest.mark.parametrize("image", ["ghcr.io/octo-lab/llm-twin/rag:1.2.3", "rag@sha256:" + "a" * 64])
def test_an_image_is_named_by_registry_and_digest(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_RAG__IMAGE", image)
    with pytest.raises(SettingsError, match=r"rag\.image"):
        load_settings("dev")


def test_a_published_image_needs_a_way_to_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_RAG__IMAGE", DIGEST)
    monkeypatch.setenv("TWIN_NETWORK__NAT_GATEWAYS", "0")
    with pytest.raises(SettingsError, match=r"rag\.image is pulled over the internet"):
        load_settings("prod")


HOSTED = '{"url": null, "hosted": {}}'


@pytest.mark.parametrize(
    ("variables", "own"),
    [
        ({"TWIN_VECTORS": HOSTED}, True),
        ({"TWIN_VECTORS": HOSTED, "TWIN_RAG__DOCUMENTS_BUCKET": "mine"}, False),
        ({}, False),
    ],
)
def test_a_folder_for_a_hosted_store_has_a_bucket_of_the_stage(
    synthesize: Synthesize, variables: dict[str, str], own: bool
) -> None:
    output = synthesize("dev", variables)
    business = json.loads((output / "twin-dev-business.template.json").read_text())
    assert bool(resources(business, "S3::Bucket")) == own
    assert ("DocumentsBucket" in business["Outputs"]) == own
    # Whoever reads a bucket has the task for it.
    assert ("IngestTaskDefinitionArn" in business["Outputs"]) == (own or "TWIN_RAG__DOCUMENTS_BUCKET" in variables)
    if own:
        (logical_id,) = resources(business, "S3::Bucket")
        bucket = only(business, "S3::Bucket")
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert logical_id in json.dumps(list(resources(business, "IAM::Policy").values()))
    assert [rule for rule, severity in violations(output) if severity == "error"] == []
