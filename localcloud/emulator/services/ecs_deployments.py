"""Deployments of ECS services whose tasks another process runs.

MiniStack 1.5.33 without Docker counts a task as running once it is registered, so that a deployment is complete at
once, whatever its container does. AWS completes it when the wanted number of tasks is healthy, and fails it by the
circuit breaker after min(200, max(3, half of the wanted number)) tasks in a row that do not start
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html). Here a deployment stays
`IN_PROGRESS` until the process that runs the tasks reports through the private operation `LocalcloudSettle`; threshold
and rollback are MiniStack's. The patch can go when MiniStack takes the health of tasks from outside.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import json_response, new_uuid
from ministack.services import ecs

Request = dict[str, Any]
MOST_EVENTS = 100
"""As many as AWS shows: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html."""
INVENTED_EVENT = "has begun draining connections on 1 tasks."
REPORT = "_localcloud_report"


def install() -> None:
    """Replace how MiniStack completes deployments and counts tasks. Call it once, before the emulator serves."""
    make, refresh, update = ecs._make_deployment, ecs._refresh_service_state, ecs._update_service

    def make_deployment(*arguments: Any, **named: Any) -> dict[str, Any]:
        """A deployment in progress, the first one of a service included."""
        return {**make(*arguments, **named), "rolloutState": "IN_PROGRESS", "rolloutStateReason": ""}

    def refresh_service_state(cluster: str, group: str) -> None:
        """MiniStack's refresh, with the numbers of tasks that were reported."""
        refresh(cluster, group)
        if service := ecs._services.get(f"{cluster}/{str(group).partition(':')[2]}"):
            _count(service)

    def update_service(request: Request) -> Any:
        """UpdateService without the event that MiniStack invents for every change."""
        answer = update(request)
        for service in ecs._services.values():
            service["events"] = [each for each in service["events"] if not each["message"].endswith(INVENTED_EVENT)]
        return answer

    ecs._make_deployment = make_deployment
    ecs._refresh_service_state = refresh_service_state
    ecs._update_service = ecs._ACTION_MAP["UpdateService"] = update_service
    ecs._complete_service_deployment = lambda *_, **__: None
    ecs._ACTION_MAP["LocalcloudSettle"] = _settle


def failure_reason(deployment: dict[str, Any]) -> str:
    """Why the last task of a deployment failed, as reported; empty when none did or the deployment is complete."""
    return str(deployment.get(REPORT, {}).get("FailureReason", ""))


def _settle(request: Request) -> Any:
    """Record what the tasks of a service's primary deployment do.

    The request holds "Cluster" (ARN), "Name", "Deployment" (id), "RunningCount" (healthy tasks), "PendingCount",
    "RunningBeforeCount" (healthy tasks of older deployments), "FailedTasks" (in a row), "FailureReason" and "Complete".
    """
    key = f"{ecs._resolve_cluster_name(request['Cluster'])}/{request['Name']}"
    service = ecs._services.get(key)
    primary = ecs._primary_deployment(service) if service else None
    if service is None or primary is None or primary["id"] != request["Deployment"]:
        return json_response({})
    failed_before = primary.get(REPORT, {}).get("FailedTasks", 0)
    primary[REPORT] = request
    if request["FailedTasks"] > failed_before:
        _fail_task(service, primary, request)
    primary["failedTasks"] = request["FailedTasks"]
    _count(service)
    if request["Complete"] and primary["rolloutState"] == "IN_PROGRESS":
        _complete(service, primary, key)
    return json_response({})


def _count(service: dict[str, Any]) -> None:
    primary = ecs._primary_deployment(service) or {}
    report = primary.get(REPORT, {})
    before = report.get("RunningBeforeCount", 0)
    for deployment in service["deployments"]:
        deployment["runningCount"] = deployment["pendingCount"] = 0
        if deployment is primary:
            deployment["runningCount"] = report.get("RunningCount", 0)
            deployment["pendingCount"] = report.get("PendingCount", 0)
        elif deployment["rolloutState"] == "COMPLETED":
            deployment["runningCount"], before = before, 0
    service["runningCount"] = report.get("RunningCount", 0) + report.get("RunningBeforeCount", 0)
    service["pendingCount"] = report.get("PendingCount", 0)


def _fail_task(service: dict[str, Any], deployment: dict[str, Any], request: Request) -> None:
    """Count a task that did not start; MiniStack's circuit breaker fails the deployment and rolls it back."""
    reason = request["FailureReason"]
    _add_event(service, f"is unable to consistently start tasks successfully: {reason}")
    # MiniStack adds one itself.
    deployment["failedTasks"] = request["FailedTasks"] - 1
    ecs._record_service_task_failure(
        {
            "group": f"service:{service['serviceName']}",
            "clusterArn": service["clusterArn"],
            "_deployment_id": deployment["id"],
        }
    )
    if deployment["rolloutState"] == "FAILED":
        deployment["rolloutStateReason"] += f" The last one: {reason}"


def _complete(service: dict[str, Any], primary: dict[str, Any], key: str) -> None:
    if primary["runningCount"] < service["desiredCount"]:
        return  # the wanted number has changed since the report
    primary.update(rolloutState="COMPLETED", rolloutStateReason="ECS deployment completed.", updatedAt=ecs._iso())
    # Stops MiniStack's tasks of older deployments, and drops these deployments.
    ecs._reconcile_service_tasks(key.partition("/")[0], key)
    service["deployments"] = [
        each for each in service["deployments"] if each is primary or each["rolloutState"] == "FAILED"
    ]
    _add_event(service, f"(deployment {primary['id']}) deployment completed.")
    _add_event(service, "has reached a steady state.")


def _add_event(service: dict[str, Any], message: str) -> None:
    event = {"id": new_uuid(), "createdAt": ecs._iso(), "message": f"(service {service['serviceName']}) {message}"}
    service["events"] = [event, *service["events"]][:MOST_EVENTS]
