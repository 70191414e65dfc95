"""AWS::ECS::Service that is complete when its deployment is, as on AWS.

MiniStack 1.5.33 completes the resource once the service is created or changed. CloudFormation waits until the service
is steady, and fails the resource when the deployment's circuit breaker was triggered; without one it waits up to three
hours (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecs-service.html), here as
long as `settling.longest_seconds` says. The patch can go when MiniStack waits for the deployment.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.services import ecs
from ministack.services.cloudformation import provisioners, stacks

from localcloud.emulator.registry import Created, Properties, run_on_worker_thread
from localcloud.emulator.services.ecs_deployments import failure_reason
from localcloud.emulator.settling import StabilisationError, longest_seconds, wait_until_settled

SERVICE = "AWS::ECS::Service"
BREAKER = "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'"
"""What CloudFormation says on AWS."""


def install() -> None:
    """Make creation and update of a service wait for its deployment. Call it once, before the emulator serves."""
    handlers = provisioners._RESOURCE_HANDLERS[SERVICE]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_service(logical_id: str, properties: Properties, stack: str) -> Created:
        """Physical id (the ARN) and attributes once the service is steady.

        Raises:
            StabilisationError: its deployment failed, and the service was deleted again.
        """
        arn, attributes = create(logical_id, properties, stack)
        try:
            _stabilise(arn)
        except StabilisationError:
            delete(arn, properties)
            raise
        return arn, attributes

    def update_service(arn: str, old: Properties, new: Properties, stack: str) -> Created:
        """Physical id and attributes once the service is steady again.

        Raises:
            StabilisationError: the deployment failed.
        """
        made: Created = update(arn, old, new, stack)
        _stabilise(arn)
        return made

    handlers.update(create=create_service, update=update_service)
    run_on_worker_thread((SERVICE,))
    _send_back_failed_updates()


def _send_back_failed_updates() -> None:
    """Send a service back to its earlier properties when its own update has failed.

    MiniStack 1.5.33 does so for custom resources and child stacks only, since its other types change nothing when they
    fail. CloudFormation rolls every resource of the update back
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html).
    """
    sends_back = stacks._sends_back_failed_update
    stacks._sends_back_failed_update = lambda name: name == SERVICE or sends_back(name)


def _stabilise(arn: str) -> None:
    service = _service(arn)
    awaited = ecs._primary_deployment(service)
    deadline = time.monotonic() + longest_seconds()

    def look() -> str | None:
        """What has become of the deployment, as `wait_until_settled` wants it."""
        if service["status"] != "ACTIVE":
            return f"{service['serviceName']} was deleted before it was steady"
        reason = failure_reason(awaited)
        if awaited["rolloutState"] == "FAILED":
            return f"{BREAKER}: {reason}"
        primary = ecs._primary_deployment(service)
        if primary["rolloutState"] == "COMPLETED" and primary["runningCount"] == service["desiredCount"]:
            return ""
        if time.monotonic() < deadline:
            return None
        return (
            f"{service['serviceName']} did not stabilize within {longest_seconds():g} s: {reason or 'no task failed'}"
        )

    wait_until_settled(look)


def _service(arn: str) -> dict[str, Any]:
    """The service in MiniStack's store, whose keys are `cluster/name`."""
    found: dict[str, Any] = ecs._services["/".join(arn.split("/")[-2:])]
    return found
