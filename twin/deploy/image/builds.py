"""Builds of the service's image in CodeBuild: found, started, and followed to their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.names import BUILT_RELEASE
from twin.target.errors import TwinError
from twin.target.progress import Progress
from twin.target.stage import Stage

POLL_SECONDS = 5.0
STILL_SECONDS = 60.0
"""Pause between two lines of progress while the phase stays the same."""
LAST_LINES = 15
RUNNING = "IN_PROGRESS"
SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class Build:
    """One build.

    Attributes:
        status: one of CodeBuild's, `IN_PROGRESS` while it runs.
        phase: that it is in, such as `PROVISIONING`.
        reasons: why phases failed, in CodeBuild's words.
        log: group and stream of its log; empty until there is one.
    """

    id: str
    status: str
    phase: str
    reasons: tuple[str, ...]
    log: tuple[str, str]
    release: str

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING


def running_build(stage: Stage, project: str, release: str) -> Build | None:
    """The build of a release that runs, or None; also where there is no such project."""
    client = stage.client("codebuild")
    try:
        ids = client.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    if not ids:
        return None
    found = (_build(each) for each in client.batch_get_builds(ids=ids)["builds"])
    return next((build for build in found if build.runs and build.release == release), None)


def start_build(stage: Stage, project: str, release: str) -> Build:
    """Start the build of a release.

    Raises:
        TwinError: the account may run no build, or not another one.
    """
    variable = {"name": BUILT_RELEASE, "value": release, "type": "PLAINTEXT"}
    try:
        started = stage.client("codebuild").start_build(projectName=project, environmentVariablesOverride=[variable])
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccountLimitExceededException":
            raise
        # Seen in new accounts: https://github.com/awslabs/landing-zone-accelerator-on-aws/issues/1013
        raise TwinError(
            f"CodeBuild takes no build now: {error.response['Error']['Message']}. Wait until other builds end. In a "
            "new account the limit may be 0: ask for concurrently running builds for ARM in Service Quotas, or set "
            "rag.image to a published release. Then run the same command again."
        ) from None
    return _build(started["build"])


def follow(stage: Stage, build: Build, progress: Progress) -> None:
    """Wait until a build ends, and say each phase; Ctrl-C leaves the build running.

    Raises:
        TwinError: it did not succeed, with CodeBuild's reasons and the last lines of its log.
    """
    client, clock, said, said_at = stage.client("codebuild"), stage.clock, "", 0.0
    started = clock.now()
    while build.runs:
        now = clock.now()
        if build.phase != said or now - said_at >= STILL_SECONDS:
            progress(f"image {build.release[:19]:<19} {build.phase.lower().replace('_', ' ')}, {now - started:.0f} s")
            said, said_at = build.phase, now
        clock.sleep(POLL_SECONDS)
        (described,) = client.batch_get_builds(ids=[build.id])["builds"]
        build = _build(described)
    if build.status != SUCCEEDED:
        raise TwinError(_failure(stage, build))


def _build(described: Mapping[str, Any]) -> Build:
    variables = described.get("environment", {}).get("environmentVariables") or ()
    logs = described.get("logs") or {}
    return Build(
        id=described["id"],
        status=described["buildStatus"],
        phase=described.get("currentPhase") or "",
        reasons=tuple(_reasons(described.get("phases") or ())),
        log=(logs.get("groupName") or "", logs.get("streamName") or ""),
        release=next((each["value"] for each in variables if each["name"] == BUILT_RELEASE), ""),
    )


def _reasons(phases: Any) -> Iterator[str]:
    for phase in phases:
        if phase.get("phaseStatus") in (None, SUCCEEDED):
            continue
        for context in phase.get("contexts") or ():
            if context.get("message"):
                yield f"{phase['phaseType']}: {context['message']}"


def _failure(stage: Stage, build: Build) -> str:
    sentences = [f"The build of the image ended as {build.status}."]
    sentences += [f"  {reason}" for reason in build.reasons]
    lines = _last_lines(stage, *build.log)
    if lines:
        sentences += ["  Its last lines:", *(f"    {line}" for line in lines)]
    sentences.append(
        f"The whole log: `aws codebuild batch-get-builds --ids {build.id}`. Correct what it names; the same command "
        "builds again."
    )
    return "\n".join(sentences)


def _last_lines(stage: Stage, group: str, stream: str) -> list[str]:
    """The end of a build's log; empty without a log, or a right to read it."""
    if not (group and stream):
        return []
    try:
        events = stage.client("logs").get_log_events(
            logGroupName=group, logStreamName=stream, limit=LAST_LINES, startFromHead=False
        )["events"]
    except ClientError:
        return []
    return [str(event["message"]).rstrip() for event in events[-LAST_LINES:]]
