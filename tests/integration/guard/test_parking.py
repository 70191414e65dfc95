"""Parking a model through SageMaker and Application Auto Scaling, and deleting its stack where that is impossible."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.guard import parking, stack_deletion
from services.guard.clock import REAL, Clock
from services.guard.handlers.expire import act
from services.guard.model_stop import REAL_TIME, Done, ModelStop
from services.guard.settings import ExpireSettings
from services.guard.stack_deletion import StackDeletionError
from tests.integration.emulator.conftest import running
from tests.integration.emulator.test_sagemaker import COMPONENT, ENDPOINT, STACK, External, with_component

PARK = {"action": "park"}
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"inference-component/{COMPONENT}",
    "ScalableDimension": parking.DIMENSION,
}
PARKED: Done = {"parked": [COMPONENT], "deleted": [], "absent": []}
DELETED: Done = {"parked": [], "deleted": [STACK], "absent": []}


class Model:
    """A stack with a component of one copy that scales between none and two."""

    def __init__(self, external: External, scaling: Any, cloudformation: Any) -> None:
        self.external, self.scaling, self.cloudformation = external, scaling, cloudformation
        external.stacks.start_creation(STACK, self.template(1))
        self.reaches("Creating")
        self.settle("InService")
        assert external.stacks.settled(STACK) == "CREATE_COMPLETE", external.stacks.failures(STACK)

    @staticmethod
    def template(copies: int) -> dict[str, Any]:
        """The resources of the stack."""
        target = {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "DependsOn": "Component"}
        scaled = {**target, "Properties": {**TARGET, "MinCapacity": 0, "MaxCapacity": 2}}
        return {**with_component(copies), "Target": scaled}

    def stop(self, component: str | None = COMPONENT, clock: Clock = REAL) -> ModelStop:
        settings = ExpireSettings(stage="t", stack_names=STACK, component_name=component)
        return ModelStop(settings, self.cloudformation, self.external.sagemaker, self.scaling, clock)

    def reaches(self, status: str) -> None:
        for _ in range(200):
            if self.external.component().get("InferenceComponentStatus") == status:
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"the component is not {status}")

    def settle(self, status: str) -> None:
        self.external.settle("inference-component", COMPONENT, status)

    def wake(self) -> None:
        self.external.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 2}
        )

    @property
    def copies(self) -> int:
        return int(self.external.component()["RuntimeConfig"]["DesiredCopyCount"])

    @property
    def target(self) -> dict[str, Any]:
        (found,) = self.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        return dict(found)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parking, stack_deletion):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(parking, "PARKING_SECONDS", 3.0)


@pytest.fixture
def model(short_waits: None, unhurried: Model) -> Model:
    return unhurried


@pytest.fixture
def unhurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with running(tmp_path_factory.mktemp("external"), LOCALCLOUD_CONTAINERS="external") as emulator:
        external = External(emulator)
        yield Model(external, emulator.client("application-autoscaling"), emulator.client("cloudformation"))


def test_a_parked_model_has_no_copies_and_does_not_scale_and_its_endpoint_stays(model: Model) -> None:
    assert act(model.stop(), PARK, 60) == PARKED
    assert model.copies == 0
    assert model.target["SuspendedState"] == {"DynamicScalingInSuspended": False, **parking.SUSPENDED}
    assert (model.target["MinCapacity"], model.target["MaxCapacity"]) == (0, 2)
    assert model.external.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "InService"
    assert act(model.stop(), PARK, 60) == PARKED


def test_a_model_that_is_just_waking_is_parked_when_it_may(model: Model) -> None:
    model.wake()
    done: list[Done] = []
    parks = threading.Thread(target=lambda: done.append(act(model.stop(), PARK, 60)))
    parks.start()
    threading.Event().wait(0.5)
    assert model.copies == 2 and model.target["SuspendedState"]["DynamicScalingOutSuspended"]
    model.settle("InService")
    parks.join(20)
    assert done == [PARKED]
    assert model.copies == 0


def test_a_model_whose_container_never_starts_is_deleted_and_it_is_said_why(model: Model) -> None:
    model.wake()
    told: list[tuple[str, str]] = []

    def tell(stack: str, reason: str) -> None:
        told.append((stack, reason))
        # What refused the parking also refuses the deletion, until it ends.
        model.settle("InService")

    assert model.stop().park(60, tell) == DELETED
    assert told == [(STACK, f"{COMPONENT} is still Updating with 1 of 2 copies")]
    with pytest.raises(ClientError, match="does not exist"):
        model.cloudformation.describe_stacks(StackName=STACK)


def test_a_wake_longer_than_an_invocation_is_outlasted_by_the_next_one(unhurried: Model) -> None:
    """A wake of 25 minutes, by the functions' own limits: 10 minutes of parking, 15 of an invocation."""
    speed, invocation, wake = 200.0, 900.0, 1500.0
    clock = Clock(lambda: time.monotonic() * speed, lambda seconds: time.sleep(seconds / speed))
    unhurried.wake()
    over = threading.Timer(wake / speed, unhurried.settle, ("InService",))
    over.start()
    began = clock.now()
    with pytest.raises(stack_deletion.StackDeletionError, match="the next invocation continues"):
        act(unhurried.stop(clock=clock), PARK, invocation)
    assert parking.PARKING_SECONDS < clock.now() - began < invocation
    assert act(unhurried.stop(clock=clock), PARK, invocation) == DELETED
    assert clock.now() - began > wake
    over.join()
    assert unhurried.external.component() == {}


def test_a_model_that_does_not_scale_any_more_is_deleted(model: Model) -> None:
    """A deletion that began before has taken the scalable target: a copy that nothing suspends would wake again."""
    model.scaling.deregister_scalable_target(**TARGET)
    told: list[tuple[str, str]] = []
    assert model.stop().park(60, lambda *what: told.append(what)) == DELETED
    assert "MinCapacity and MaxCapacity are required" in told[0][1]


def test_a_stack_in_an_update_is_deleted_after_it(model: Model) -> None:
    """CloudFormation refuses it before: rule `stack-in-update`."""
    model.external.stacks.start_update(STACK, model.template(2))
    model.reaches("Updating")
    assert model.external.stacks.status(STACK) == "UPDATE_IN_PROGRESS"
    with pytest.raises(StackDeletionError, match=f"{STACK} is still UPDATE_IN_PROGRESS; the next invocation continues"):
        model.stop().delete(stack_deletion.RESERVE_SECONDS)
    done: list[Done] = []
    deletes = threading.Thread(target=lambda: done.append(model.stop().delete(60)))
    deletes.start()
    threading.Event().wait(0.5)
    assert deletes.is_alive()
    model.settle("InService")
    deletes.join(20)
    assert done == [DELETED]


def test_a_real_time_endpoint_is_deleted(model: Model) -> None:
    told: list[tuple[str, str]] = []
    assert model.stop(None).park(60, lambda *what: told.append(what)) == DELETED
    assert told == [(STACK, REAL_TIME)]


def test_what_is_gone_already_is_absent(model: Model) -> None:
    assert act(model.stop(), {"action": "delete"}, 60) == DELETED
    assert act(model.stop(), PARK, 60) == {"parked": [], "deleted": [], "absent": [STACK]}
