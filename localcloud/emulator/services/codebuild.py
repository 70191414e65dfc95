"""CodeBuild's builds: phases that take their time, a log, and the calls that a build makes with its role.

MiniStack 1.5.33 has CodeBuild's projects; a build of it has succeeded when it starts, and with a Docker engine can be
run by AWS's agent. Here a build goes through CodeBuild's phases on a thread. Without an engine no image is built: the
buildspec is parsed (JSON, as the CDK writes it), the source fetched, every file that the Dockerfile copies looked for,
and the image pushed as a manifest that carries the digest of the source (`build_commands.py`). What the role may not do
fails the build as on AWS.
"""

from __future__ import annotations

import contextvars
import copy
import json
import threading
from typing import Any

from ministack.core.iam_evaluator import EvalContext, _conditions_met, _service_principal_matches
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import codebuild, iam
from ministack.services.cloudformation import provisioners

from localcloud.emulator.registry import Created
from localcloud.emulator.services.codebuild_work import RUNNING, SUCCEEDED, Build, end, phase_record

SERVICE = "codebuild.amazonaws.com"
STOPPED = "STOPPED"
KEPT = ("LogsConfig", "Cache", "QueuedTimeoutInMinutes")


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
        "phases": [phase_record("SUBMITTED", SUCCEEDED), phase_record("QUEUED")],
        "logs": {"groupName": group, "streamName": build["id"].partition(":")[2]},
    }
    build.pop("endTime", None)
    codebuild._builds[build["id"]] = build
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(Build(build, role, port).run,), daemon=True).start()
    return json_response({"build": copy.deepcopy(build)})


def _stop(data: dict[str, Any]) -> Any:
    build = codebuild._builds.get(data.get("id", ""))
    if build is None:
        return error_response_json("ResourceNotFoundException", f"Build cannot be found: {data.get('id')}", 400)
    if build["buildStatus"] == RUNNING:
        end(build, STOPPED)
    return json_response({"build": copy.deepcopy(build)})


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
