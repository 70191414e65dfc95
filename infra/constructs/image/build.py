"""The build of the RAG service's image in the account, so that no machine of a person needs Docker."""

from __future__ import annotations

import re
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.logs import log_group, writes_to
from infra.names import BUILT_RELEASE

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = "images/rag/Dockerfile"
IGNORE_FILE = ".dockerignore"
UNNAMED = "unnamed"
"""Value of `BUILT_RELEASE` in the project itself; a build with it fails at once."""
LONGEST = cdk.Duration.minutes(30)
LONGEST_QUEUED = cdk.Duration.minutes(30)
LOG_DAYS = 30
HUB, MIRROR = "docker.io/library/", "public.ecr.aws/docker/library/"
"""Docker's official images and AWS's copies of them. Docker Hub limits pulls by address, and builds share theirs:
https://github.com/koxudaxi/local-data-api/issues/179,
https://aws.amazon.com/blogs/containers/docker-official-images-now-available-on-amazon-elastic-container-registry-public/."""
PUSHES = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html"""


class ImageBuild(Construct):
    """A CodeBuild project whose source is this checkout, as far as the image needs it.

    ARM64 as the task definition is, on the smallest machine. It runs privileged: the Docker daemon that builds the
    image runs inside of the build's own container, and CodeBuild starts it there only then
    (https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html). The container holds nothing but the
    source and the role's credentials.

    Layers are cached on CodeBuild's hosts, which costs nothing and needs neither another repository nor another
    permission. It helps a second build soon after a first one only; a cache in ECR would need a second repository with
    tags that change, to save minutes of a rare build.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, repository: ecr.Repository) -> None:
        """Declare the project.

        Args:
            scope: parent.
            construct_id: of this construct.
            name: of the project.
            repository: where images are pushed to.
        """
        super().__init__(scope, construct_id)
        source = assets.Asset(self, "Source", path=str(ROOT), exclude=excluded(), ignore_mode=cdk.IgnoreMode.DOCKER)
        group = log_group(self, "Logs", LOG_DAYS)
        role = iam.Role(
            self,
            "Role",
            description="Builds the image of the LLM twin",
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com", conditions=_of_project(self, name)),
        )
        for statement in (
            writes_to(group),
            _reads(source),
            iam.PolicyStatement(sid="PushTheImage", actions=list(PUSHES), resources=[repository.repository_arn]),
            iam.PolicyStatement(sid="LogInToTheRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        ):
            role.add_to_policy(statement)
        base = base_image()
        self.project = codebuild.Project(
            self,
            "Project",
            project_name=name,
            description="Builds the image of the LLM twin's RAG service",
            # The CDK would grant reports, every log group of the project and every object of the bucket.
            role=role.without_policy_updates(),
            grant_report_group_permissions=False,
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxArmBuildImage.AMAZON_LINUX_2023_STANDARD_3_0,
                compute_type=codebuild.ComputeType.SMALL,
                privileged=True,
            ),
            environment_variables={
                key: codebuild.BuildEnvironmentVariable(value=value)
                for key, value in {
                    BUILT_RELEASE: UNNAMED,
                    "REPOSITORY_URI": repository.repository_uri,
                    "BASE": base.replace(HUB, MIRROR, 1),
                    "BASE_ELSEWHERE": base,
                    "DOCKER_BUILDKIT": "1",
                }.items()
            },
            build_spec=codebuild.BuildSpec.from_object(specification()),
            cache=codebuild.Cache.local(codebuild.LocalCacheMode.DOCKER_LAYER),
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=group)),
            timeout=LONGEST,
            queued_timeout=LONGEST_QUEUED,
        )
        self.project.node.add_dependency(role)
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "ecr:GetAuthorizationToken, which pushing needs, has no resource-level permissions.",
        )
        acknowledge(self.project, "AwsSolutions-CB3", "Docker's daemon runs inside of the build's own container.")
        acknowledge(self.project, "AwsSolutions-CB4", "The build has no artifacts: its result is the image in ECR.")


def excluded() -> list[str]:
    """What the source leaves out, in `.dockerignore`'s words: all that the build never reads, the Dockerfile apart."""
    lines = (ROOT / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line.strip() and not line.startswith("#")]
    folders = DOCKERFILE.split("/")[:-1]
    opened = ["/".join(folders[: depth + 1]) for depth in range(len(folders))]
    return [*patterns, *(line for each in opened for line in (f"!{each}", f"{each}/*")), f"!{DOCKERFILE}"]


def base_image() -> str:
    """The image that the Dockerfile begins with, by tag and digest.

    Raises:
        ValueError: its first lines name none of Docker's official images.
    """
    found = re.search(rf"^ARG PYTHON=({re.escape(HUB)}\S+@sha256:\w+)$", (ROOT / DOCKERFILE).read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{DOCKERFILE} has no line ARG PYTHON={HUB}NAME@sha256:...")
    return found[1]


def specification() -> dict[str, object]:
    """The phases of a build. Commands of one build share a shell, so that a later phase sees a changed variable:
    https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec-ref-versions."""
    tag = '"$REPOSITORY_URI:$RELEASE"'
    return {
        "version": "0.2",
        "phases": {
            "pre_build": {
                "commands": [
                    f'test "$RELEASE" != {UNNAMED}',
                    'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"',
                    'docker manifest inspect "$BASE" > /dev/null || BASE="$BASE_ELSEWHERE"',
                ]
            },
            "build": {
                "commands": [
                    f"docker build --platform linux/arm64 --file {DOCKERFILE} "
                    f'--build-arg "PYTHON=$BASE" --build-arg "REVISION=$RELEASE" --tag {tag} .'
                ]
            },
            # The phase also runs after a build that failed.
            "post_build": {"commands": ['test "$CODEBUILD_BUILD_SUCCEEDING" = 1', f"docker push {tag}"]},
        },
    }


def _of_project(scope: Construct, name: str) -> dict[str, object]:
    """That CodeBuild takes the role for this project only.

    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    stack = cdk.Stack.of(scope)
    arn = stack.format_arn(service="codebuild", resource="project", resource_name=name)
    return {"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": arn}}


def _reads(source: assets.Asset) -> iam.PolicyStatement:
    objects = [source.bucket.arn_for_objects(source.s3_object_key)]
    # https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    return iam.PolicyStatement(sid="ReadTheSource", actions=["s3:GetObject", "s3:GetObjectVersion"], resources=objects)
