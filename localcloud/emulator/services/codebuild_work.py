"""One build of CodeBuild on its thread: its phases, its log, and its calls of AWS with the project's role.

Phases and their order: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html. How long
they take is an assumption (`SECONDS`), which `LOCALCLOUD_TIME_FACTOR` makes quick.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from ministack.core.responses import get_region
from ministack.services import iam, sts

from localcloud.account import Credentials
from localcloud.aws_time import factor
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.services.build_commands import CommandError, Commands

SUCCEEDED, FAILED, RUNNING = "SUCCEEDED", "FAILED", "IN_PROGRESS"
SECONDS = {
    "QUEUED": 5,
    "PROVISIONING": 20,
    "DOWNLOAD_SOURCE": 2,
    "INSTALL": 0,
    "PRE_BUILD": 5,
    "BUILD": 150,
    "POST_BUILD": 20,
    "FINALIZING": 2,
}
"""Assumed, for each phase; not measured on AWS."""
OF_THE_SPECIFICATION = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
SESSION_SECONDS = 3600


class PhaseError(Exception):
    """A phase failed.

    Attributes:
        code: CodeBuild's status code of it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def phase_record(kind: str, status: str = "") -> dict[str, Any]:
    now = time.time()
    return {"phaseType": kind, "startTime": now, **({"phaseStatus": status, "endTime": now} if status else {})}


def end(build: dict[str, Any], status: str) -> None:
    build["phases"].append(phase_record("COMPLETED"))
    build |= {"buildStatus": status, "currentPhase": "COMPLETED", "endTime": time.time(), "buildComplete": True}


class Build:
    """One build on its thread."""

    def __init__(self, build: dict[str, Any], role: str, port: int) -> None:
        self._build = build
        self._role = role
        session = _session(role, f"AWSCodeBuild-{uuid.uuid4()}")
        credentials = Credentials(session["aws_access_key_id"], session["aws_secret_access_key"])
        self._aws = Loopback(port, credentials, session["aws_session_token"])
        self._group, self._stream = build["logs"]["groupName"], build["logs"]["streamName"]

    def run(self) -> None:
        """Go through the phases; the record says how it ended."""
        build, failed = self._build, False
        pending: Commands | None = None
        try:
            self._take("QUEUED", lambda: None)
            self._take("PROVISIONING", self._open_log)
            pending = self._download()
            phases = _phases(build)
            for kind in OF_THE_SPECIFICATION:
                # The phase after the build also runs when that failed; before it, a failure ends everything.
                if failed and kind != "POST_BUILD":
                    continue
                pending.variables["CODEBUILD_BUILD_SUCCEEDING"] = "0" if failed else "1"
                failed = not self._follow(kind, phases.get(kind.lower(), ()), pending) or failed
                if failed and kind in ("INSTALL", "PRE_BUILD"):
                    break
        except PhaseError:
            failed = True
        except _Stopped:
            return
        build["phases"].append(phase_record("FINALIZING", SUCCEEDED))
        end(build, FAILED if failed else SUCCEEDED)

    def _take(self, kind: str, work: Any) -> Any:
        """Do the work of a phase, in its time.

        Raises:
            PhaseError: it failed, and is recorded so.
            _Stopped: the build was stopped meanwhile.
        """
        build = self._build
        if build["buildStatus"] != RUNNING:
            raise _Stopped
        current = next((each for each in build["phases"] if each["phaseType"] == kind), None)
        if current is None:
            current = phase_record(kind)
            build["phases"].append(current)
        build["currentPhase"] = kind
        time.sleep(SECONDS[kind] / factor())
        if build["buildStatus"] != RUNNING:
            raise _Stopped
        try:
            result = work()
        except PhaseError as error:
            current |= {"contexts": [{"statusCode": error.code, "message": str(error)}]}
            self._settle(current, FAILED)
            raise
        self._settle(current, SUCCEEDED)
        return result

    def _settle(self, phase: dict[str, Any], status: str) -> None:
        phase |= {"phaseStatus": status, "endTime": time.time()}
        phase["durationInSeconds"] = int(phase["endTime"] - phase["startTime"])

    def _follow(self, kind: str, commands: Any, pending: Commands) -> bool:
        """Whether all commands of a phase succeed."""

        def work() -> None:
            for command in commands:
                try:
                    pending.run(command)
                except (CommandError, ClientError) as error:
                    self._say(str(error))
                    message = f"Error while executing command: {command}. Reason: exit status 1"
                    raise PhaseError("COMMAND_EXECUTION_ERROR", message) from None

        try:
            self._take(kind, work)
        except PhaseError:
            self._say(f"[Container] Phase complete: {kind} State: {FAILED}")
            return False
        self._say(f"[Container] Phase complete: {kind} State: {SUCCEEDED}")
        return True

    def _open_log(self) -> None:
        try:
            self._call("logs", "CreateLogStream", {"logGroupName": self._group, "logStreamName": self._stream})
        except ClientError as error:
            message = (
                f"Service role {self._role} does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams "
                f"for build {self._build['arn']}. Error message: {error.response['Error'].get('Message')}"
            )
            raise PhaseError("ACCESS_DENIED", message) from None

    def _say(self, line: str) -> None:
        event = {"timestamp": int(time.time() * 1000), "message": line}
        self._call(
            "logs",
            "PutLogEvents",
            {"logGroupName": self._group, "logStreamName": self._stream, "logEvents": [event]},
        )

    def _download(self) -> Commands:
        def fetch() -> bytes:
            source = self._build["source"]
            location = source.get("location") or ""
            bucket, _, key = location.partition("/")
            if source.get("type") != "S3" or not key:
                raise PhaseError("CLIENT_ERROR", f"{source.get('type')} {location}: only objects of S3 here")
            try:
                body: bytes = self._call("s3", "GetObject", {"Bucket": bucket, "Key": key})["Body"].read()
            except ClientError as error:
                said = error.response["Error"]
                where = f"for primary source and source version arn:aws:s3:::{location}"
                raise PhaseError("CLIENT_ERROR", f"{said['Code']}: {said.get('Message', '')} {where}") from None
            return body

        body = self._take("DOWNLOAD_SOURCE", fetch)
        archive = zipfile.ZipFile(io.BytesIO(body))
        variables = {
            each["name"]: each["value"] for each in self._build["environment"].get("environmentVariables") or ()
        }
        return Commands(
            files={name for name in archive.namelist() if not name.endswith("/")},
            read=lambda name: archive.read(name).decode(),
            digest=hashlib.sha256(body).hexdigest(),
            call=lambda service, operation, given: self._call(service, _camel(operation), given),
            log=self._say,
            variables={"AWS_REGION": get_region(), "CODEBUILD_BUILD_ID": self._build["id"], **variables},
        )

    def _call(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._aws.call(service, operation, parameters)


class _Stopped(Exception):
    """StopBuild has ended the build."""


def _phases(build: Mapping[str, Any]) -> dict[str, list[str]]:
    """Commands by phase of a buildspec.

    Raises:
        PhaseError: it is none.
    """
    text = build["source"].get("buildspec") or ""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise PhaseError("YAML_FILE_ERROR", f"Message: {error}") from None
    if not isinstance(found, dict) or str(found.get("version")) not in ("0.1", "0.2"):
        raise PhaseError("YAML_FILE_ERROR", "Message: the buildspec has no known version")
    return {name: list(_commands(phase)) for name, phase in (found.get("phases") or {}).items()}


def _commands(phase: Any) -> Iterator[str]:
    yield from (str(command) for command in (phase or {}).get("commands") or ())


def _camel(operation: str) -> str:
    return "".join(part.capitalize() for part in operation.split("_"))


def _session(role: str, name: str) -> dict[str, str]:
    """Arguments of a client that calls as the role's session, which no caller has asked for."""
    account = role.split(":")[4]
    key, secret, token = iam._gen_session_access_key(), iam._gen_secret(), iam._gen_session_token()
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{name}",
            "UserId": f"{sts._role_id(role)}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + SESSION_SECONDS,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return {"aws_access_key_id": key, "aws_secret_access_key": secret, "aws_session_token": token}
