"""A component without calls sleeps, and the next call wakes it, with AWS's times made quick."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import aws_time
from localcloud.aws_time import ALARM, IDLE_UNTIL_NO_INSTANCES, QUIET_UNTIL_NO_COPIES, WAKE, WAKE_WITHOUT_CACHE
from localcloud.errors import LocalCloudError
from localcloud.runner.aws import Aws
from localcloud.runner.sagemaker import SageMakerRunner
from localcloud.runner.settle import settle
from localcloud.sagemaker_runtime.app import create_app
from localcloud.sagemaker_runtime.routing import RoutingTable
from tests.asgi_server import serving
from tests.aws import CREDENTIALS
from tests.integration.emulator.cases import ROLE
from tests.integration.emulator.conftest import Emulator, running
from tests.integration.sagemaker_runtime.conftest import boto_client

FACTOR = 300
"""A wake takes 0.9 s, the time until sleep 3 s."""
NAME = "sleeper"
REPORT = {"Kind": "inference-component", "Status": "InService", "FailureReason": "", "CurrentCopyCount": 1}
QUESTION = json.dumps({"messages": [{"role": "user", "content": "Why?"}], "max_tokens": 8}).encode()


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator"), LOCALCLOUD_CONTAINERS="external") as started:
        yield started


def declare(emulator: Emulator) -> None:
    """An endpoint without a lower limit of instances, with one component that may have from none to one copy."""
    sagemaker = emulator.client("sagemaker")
    variant = {
        "VariantName": "AllTraffic",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.g6.2xlarge",
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 1},
    }
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    container = {"Image": "example/llm", "Environment": {"LLM_ENGINE": "confabulating", "MODEL_ID": "test/model"}}
    sagemaker.create_inference_component(
        InferenceComponentName=NAME,
        EndpointName=NAME,
        VariantName="AllTraffic",
        Specification={"Container": container, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}},
        RuntimeConfig={"CopyCount": 1},
    )
    emulator.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"inference-component/{NAME}",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=0,
        MaxCapacity=1,
    )


@pytest.mark.parametrize("scale_in", ["on", "off"])
def test_a_component_sleeps_when_it_is_not_called_and_wakes_when_it_is(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale_in: str
) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, str(FACTOR))
    monkeypatch.setenv(aws_time.SCALE_IN_VARIABLE, scale_in)
    declare(emulator)
    table = RoutingTable()
    with serving(create_app(table)) as url:
        runner = SageMakerRunner(Aws(emulator.url, url, CREDENTIALS), tmp_path, table)
        client = boto_client(url)

        def copies() -> int:
            described = emulator.client("sagemaker").describe_inference_component(InferenceComponentName=NAME)
            return int(described["RuntimeConfig"]["CurrentCopyCount"])

        def answers() -> bool:
            try:
                client.invoke_endpoint(
                    EndpointName=NAME, InferenceComponentName=NAME, ContentType="application/json", Body=QUESTION
                )
            except ClientError as error:
                assert "no capacity" in str(error)
                return False
            return True

        def until(probe: Any, seconds: float = 60) -> float:
            started = time.monotonic()
            while not probe():
                assert time.monotonic() < started + seconds
                runner.tick()
                time.sleep(0.05)
            return time.monotonic() - started

        try:
            until(lambda: copies() == 1)
            assert answers()
            if scale_in == "off":
                end = time.monotonic() + 2 * QUIET_UNTIL_NO_COPIES.here()
                until(lambda: time.monotonic() > end)
                assert copies() == 1
                return
            assert until(lambda: copies() == 0) >= 0.9 * QUIET_UNTIL_NO_COPIES.here()
            until(lambda: not answers())
            assert until(lambda: copies() == 1) >= 0.9 * WAKE.here()
            assert answers()
        finally:
            runner.stop()


def test_a_component_whose_scaling_is_suspended_does_not_wake_until_it_is_resumed(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, str(FACTOR))
    declare(emulator)
    table = RoutingTable()
    runner = SageMakerRunner(Aws(emulator.url, "http://127.0.0.1:1", CREDENTIALS), tmp_path, table)
    sagemaker, scaling = emulator.client("sagemaker"), emulator.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/{NAME}",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }

    def desired_after_a_call() -> int:
        table.report_no_capacity(NAME, NAME)
        time.sleep(1.2 * WAKE.here())
        runner.tick()
        runtime = sagemaker.describe_inference_component(InferenceComponentName=NAME)["RuntimeConfig"]
        return int(runtime["DesiredCopyCount"])

    settle(Aws(emulator.url, "", CREDENTIALS), "sagemaker", {**REPORT, "Name": NAME})
    sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=NAME, DesiredRuntimeConfig={"CopyCount": 0}
    )
    try:
        scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingOutSuspended": True})
        (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        assert (found["MinCapacity"], found["MaxCapacity"]) == (0, 1)
        assert found["SuspendedState"] == {
            "DynamicScalingInSuspended": False,
            "DynamicScalingOutSuspended": True,
            "ScheduledScalingSuspended": False,
        }
        assert desired_after_a_call() == 0
        scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingOutSuspended": False})
        assert desired_after_a_call() == 1
    finally:
        runner.stop()


class Waking:
    """A runner over a component, ticked by hand."""

    def __init__(self, emulator: Emulator, root: Path) -> None:
        declare(emulator)
        self.sagemaker = emulator.client("sagemaker")
        self.table = RoutingTable()
        self.runner = SageMakerRunner(Aws(emulator.url, "http://127.0.0.1:1", CREDENTIALS), root, self.table)

    def fall_asleep(self) -> None:
        """Let the first copy serve, without which SageMaker creates no component, and take it away."""
        self.until(("InService", 1))
        self.scale(0)
        self.until(("InService", 0))
        self.runner.tick()

    def component(self) -> tuple[str, int]:
        """Status and running copies."""
        found = self.sagemaker.describe_inference_component(InferenceComponentName=NAME)
        return str(found["InferenceComponentStatus"]), int(found["RuntimeConfig"]["CurrentCopyCount"])

    def instances(self) -> int:
        """Instances that run."""
        (variant,) = self.sagemaker.describe_endpoint(EndpointName=NAME)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    def until(self, wanted: tuple[str, int], seconds: float = 60) -> float:
        """Tick until the component is so; returns how long it took."""
        began = time.monotonic()
        while self.component() != wanted:
            assert time.monotonic() < began + seconds, self.component()
            self.runner.tick()
            time.sleep(0.05)
        return time.monotonic() - began

    def refuse_a_call(self) -> None:
        """What the runtime reports when a call finds no copy."""
        self.table.report_no_capacity(NAME, NAME)

    def scale(self, copies: int) -> None:
        """Set the copies by hand."""
        self.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=NAME, DesiredRuntimeConfig={"CopyCount": copies}
        )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, str(FACTOR))


@pytest.fixture
def make(emulator: Emulator, tmp_path: Path, quick: None) -> Iterator[Callable[[], Waking]]:
    made: list[Waking] = []

    def of() -> Waking:
        made.append(Waking(emulator, tmp_path))
        return made[-1]

    yield of
    for each in made:
        each.runner.stop()


def test_a_wake_begins_with_the_alarm_and_takes_as_long_whoever_sets_the_copies(make: Callable[[], Waking]) -> None:
    waking = make()
    waking.fall_asleep()
    waking.refuse_a_call()
    noticed = waking.until(("Updating", 0))
    assert noticed >= 0.9 * ALARM.here()
    assert noticed + waking.until(("InService", 1)) >= 0.95 * WAKE.here()
    waking.scale(0)
    waking.until(("InService", 0))
    waking.runner.tick()
    # Whoever sets the copies, a machine has to come first.
    waking.scale(1)
    took = waking.until(("InService", 1))
    assert took >= 0.95 * WAKE.here()


@pytest.mark.parametrize(("given", "seconds"), [("pessimistic", 564), ("1500", 1500)])
def test_a_wake_can_be_made_slower(
    make: Callable[[], Waking], monkeypatch: pytest.MonkeyPatch, given: str, seconds: float
) -> None:
    monkeypatch.setenv(aws_time.WAKE_VARIABLE, given)
    waking = make()
    waking.fall_asleep()
    waking.scale(1)
    assert waking.until(("InService", 1)) >= 0.95 * seconds / FACTOR


@pytest.mark.parametrize("setting", ["on", "off"])
def test_a_new_component_takes_its_time_where_stacks_do(
    make: Callable[[], Waking], monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, "30")
    monkeypatch.setenv(aws_time.STACKS_VARIABLE, setting)
    assert (make().until(("InService", 1)) >= WAKE_WITHOUT_CACHE.here()) is (setting == "on")


def test_instances_end_some_time_after_the_last_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, str(FACTOR))
    settings = {"LOCALCLOUD_CONTAINERS": "external", aws_time.VARIABLE: str(FACTOR)}
    (tmp_path / "emulator").mkdir()
    with running(tmp_path / "emulator", **settings) as emulator:
        waking = Waking(emulator, tmp_path)
        try:
            waking.until(("InService", 1))
            time.sleep(IDLE_UNTIL_NO_INSTANCES.here())
            assert waking.instances() == 1
            waking.scale(0)
            waking.until(("InService", 0))
            assert waking.instances() == 1
            time.sleep(IDLE_UNTIL_NO_INSTANCES.here() + 0.1)
            assert waking.instances() == 0
            waking.scale(1)
            assert waking.instances() == 1
        finally:
            waking.runner.stop()


@pytest.mark.parametrize("given", ["0", "-1", "soon", "inf", "nan"])
def test_a_wrong_factor_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(aws_time.VARIABLE, given)
    with pytest.raises(LocalCloudError, match="LOCALCLOUD_TIME_FACTOR must be a positive number"):
        WAKE.here()


def test_a_wrong_wake_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_time.WAKE_VARIABLE, "slow")
    with pytest.raises(LocalCloudError, match=r"LOCALCLOUD_WAKE must be a positive number, not 'slow'.*pessimistic"):
        aws_time.check_settings()
