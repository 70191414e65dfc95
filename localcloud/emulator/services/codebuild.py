"""CodeBuild's builds: phases that take their time, a log, and the calls that a build makes with its role.

MiniStack 1.5.33 has CodeBuild's projects; a build of it has succeeded when it starts, and with a Docker engine can be
run by AWS's agent. Here a build goes through CodeBuild's phases on a thread. Without an engine no image is built: the
buildspec is parsed (JSON, as the CDK writes it), the source fetched, every file that the Dockerfile copies looked for,
and the image pushed as a manifest that carries the digest of the source (`build_commands.py`). What the role may not do
fails the build as on AWS.

Phases and their order: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html. How long
they take is an assumption (`SECONDS`), which `LOCALCLOUD_TIME_FACTOR` makes quick.
"""

from __future__ import annotations

import contextvars
import copy
import hashlib
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from ministack.core.iam_evaluator import EvalContext, _conditions_met, _service_principal_matches
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import codebuild, iam, sts
from ministack.services.cloudformation import provisioners

from localcloud.account import Credentials
from localcloud.aws_time import factor
from localcloud.emulator.loopback import Loopback
from localcloud.emulator.registry import Created
from localcloud.emulator.services.build_commands import CommandError, Commands

SERVICE = "codebuild.amazonaws.com"
SUCCEEDED, FAILED, RUNNING, STOPPED = "SUCCEEDED", "FAILED", "IN_PROGRESS", "STOPPED"
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
"""Assumed, for each phase; nobody has measured this build on AWS."""
OF_THE_SPECIFICATION = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
SESSION_SECONDS = 3600
KEPT = ("LogsConfig", "Cache", "QueuedTimeoutInMinutes")


class PhaseError(Exception):
    """A phase failed.

    Attributes:
        code: CodeBuild's status code of it.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install(port: int) -> None:
    """Replace MiniStack's StartBuild and StopBuild. Call it once, before the emulator serves.

    Args:
        port: where the emulator will listen.
    """
    codebuild._start_build = lambda data: _start(data, port)
    codebuild._stop_build = _stop
    _keep_settings_of_projects()


def _keep_settings_of_projects() -> None:
    """Keep the logs, the cache and the queue's timeout of a project.

    MiniStack 1.5.33 drops these properties of AWS::CodeBuild::Project. AWS describes them
    (https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Project.html). Remove it when MiniStack does.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    create, update = handlers["create"], handlers["update"]

    def keep(name: str, properties: dict[str, Any]) -> None:
        project = codebuild._projects[name]
        for key in KEPT:
            if key in properties:
                project[f"{key[0].lower()}{key[1:]}"] = provisioners._codebuild_cfn_to_api(properties[key])

    def create_project(logical_id: str, properties: dict[str, Any], stack: str) -> Created:
        """Physical id (the name) and attributes of the new project."""
        name, attributes = create(logical_id, properties, stack)
        keep(name, properties)
        return name, attributes

    def update_project(name: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Created:
        """Physical id (the name) and attributes of the changed project."""
        name, attributes = update(name, old, new, stack)
        keep(name, new)
        return name, attributes

    handlers.update(create=create_project, update=update_project)


def _start(data: dict[str, Any], port: int) -> Any:
    project = codebuild._projects.get(data.get("projectName", ""))
    if project is None:
        name = data.get("projectName", "")
        return error_response_json("ResourceNotFoundException", f"Project cannot be found: {name}", 400)
    role = project["serviceRole"]
    if not _is_trusted(role, project["arn"]):
        message = f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}"
        return error_response_json("InvalidInputException", message, 400)
    build = codebuild._make_build_record(copy.deepcopy(project), codebuild._build_id(project["name"]))
    given = {each["name"]: each for each in data.get("environmentVariablesOverride") or ()}
    environment = build["environment"]
    declared = {each["name"]: each for each in environment.get("environmentVariables") or ()}
    environment["environmentVariables"] = list({**declared, **given}.values())
    named = (project.get("logsConfig") or {}).get("cloudWatchLogs", {}).get("groupName")
    group = named or f"/aws/codebuild/{project['name']}"
    build |= {
        "buildStatus": RUNNING,
        "currentPhase": "QUEUED",
        "buildComplete": False,
        "phases": [_phase("SUBMITTED", SUCCEEDED), _phase("QUEUED")],
        "logs": {"groupName": group, "streamName": build["id"].partition(":")[2]},
    }
    build.pop("endTime", None)
    codebuild._builds[build["id"]] = build
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_Build(build, role, port).run,), daemon=True).start()
    return json_response({"build": copy.deepcopy(build)})


def _stop(data: dict[str, Any]) -> Any:
    build = codebuild._builds.get(data.get("id", ""))
    if build is None:
        return error_response_json("ResourceNotFoundException", f"Build cannot be found: {data.get('id')}", 400)
    if build["buildStatus"] == RUNNING:
        _end(build, STOPPED)
    return json_response({"build": copy.deepcopy(build)})


def _phase(kind: str, status: str = "") -> dict[str, Any]:
    now = time.time()
    return {"phaseType": kind, "startTime": now, **({"phaseStatus": status, "endTime": now} if status else {})}


def _end(build: dict[str, Any], status: str) -> None:
    build["phases"].append(_phase("COMPLETED"))
    build |= {"buildStatus": status, "currentPhase": "COMPLETED", "endTime": time.time(), "buildComplete": True}


def _is_trusted(role: str, project: str) -> bool:
    """Whether a role lets CodeBuild take it for a project."""
    found = iam._roles.get(role.rpartition("/")[2])
    if found is None:
        return False
    document = found.get("AssumeRolePolicyDocument") or "{}"
    parsed = json.loads(document) if isinstance(document, str) else document
    context = EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role,
        region=get_region(),
        service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": project},
    )
    return any(
        statement.get("Effect") == "Allow"
        and _service_principal_matches(statement.get("Principal"), SERVICE)
        and _conditions_met(statement.get("Condition") or {}, context)
        for statement in parsed.get("Statement", ())
    )


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


class _Build:
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
        build["phases"].append(_phase("FINALIZING", SUCCEEDED))
        _end(build, FAILED if failed else SUCCEEDED)

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
            current = _phase(kind)
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
