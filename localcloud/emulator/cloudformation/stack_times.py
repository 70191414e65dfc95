"""Resources whose creation, change or deletion takes minutes on AWS, in which their stack waits for them.

MiniStack 1.5.33 finishes each at once. CloudFormation waits until a resource has settled
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-express-mode.html describes it as the
default); meanwhile the resource is `Deploying` or `InProgress`. The wrappers can go when MiniStack takes a time for
each of these types. SageMaker's resources take their time by themselves (`localcloud/runner/sagemaker.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ministack.services import cloudfront
from ministack.services.cloudformation import provisioners

from localcloud import aws_time
from localcloud.aws_time import Duration
from localcloud.emulator.registry import Properties, run_on_worker_thread
from localcloud.emulator.settling import stacks_wait

ORIGIN, DISTRIBUTION, FUNCTION = "AWS::CloudFront::VpcOrigin", "AWS::CloudFront::Distribution", "AWS::Lambda::Function"
DEPLOYED = "Deployed"

_stopping = threading.Event()


def install() -> None:
    """Make the types take their time, where it is asked for. Call it once, after the types were added."""
    if not aws_time.stacks_take_time():
        return
    _slow_down(ORIGIN, _origin, aws_time.VPC_ORIGIN_CREATED, aws_time.VPC_ORIGIN_CHANGED)
    _slow_down(DISTRIBUTION, _distribution, aws_time.DISTRIBUTION_CHANGED, aws_time.DISTRIBUTION_CHANGED)
    _slow_down_functions()
    run_on_worker_thread((ORIGIN, DISTRIBUTION, FUNCTION))


def stop() -> None:
    """End every wait, since the server waits for its threads before it ends."""
    _stopping.set()


def _origin(physical_id: str) -> tuple[dict[str, Any] | None, str]:
    """The origin as MiniStack keeps it, and its status while it is changed; None where AWS refuses the change."""
    used = cloudfront._vpc_origin_in_use(physical_id)
    return None if used else cloudfront._vpc_origins.get(physical_id), "Deploying"


def _distribution(physical_id: str) -> tuple[dict[str, Any] | None, str]:
    return cloudfront._distributions.get(physical_id), "InProgress"


def _slow_down(
    name: str,
    find: Callable[[str], tuple[dict[str, Any] | None, str]],
    created: Duration,
    changed: Duration,
) -> None:
    handlers = provisioners._RESOURCE_HANDLERS[name]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def settle(physical_id: str, duration: Duration) -> None:
        record, status = find(physical_id)
        if record is None or not stacks_wait():
            return
        record["Status"] = status
        _stopping.wait(duration.here())
        record["Status"] = DEPLOYED

    def create_slowly(*arguments: Any) -> Any:
        """Physical id and attributes, once the resource is deployed."""
        made = create(*arguments)
        settle(made[0], created)
        return made

    def update_slowly(physical_id: str, *arguments: Any, **more: Any) -> Any:
        """Physical id and attributes, once the change is deployed."""
        made = update(physical_id, *arguments, **more)
        settle(made[0], changed)
        return made

    def delete_slowly(physical_id: str, properties: Properties) -> None:
        """Delete, once AWS has taken the resource out of service."""
        settle(physical_id, changed)
        delete(physical_id, properties)

    handlers.update(create=create_slowly, update=update_slowly, delete=delete_slowly)


def _slow_down_functions() -> None:
    handlers = provisioners._RESOURCE_HANDLERS[FUNCTION]
    delete = handlers["delete"]

    def delete_with_interfaces(physical_id: str, properties: Properties) -> None:
        """Delete the function; one in a VPC is gone for its stack when its network interfaces are."""
        delete(physical_id, properties)
        if stacks_wait() and (properties.get("VpcConfig") or {}).get("SubnetIds"):
            _stopping.wait(aws_time.FUNCTION_INTERFACES_GONE.here())

    handlers.update(delete=delete_with_interfaces)
