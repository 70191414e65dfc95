"""When a deployment is done: what it is responsible for works, a model may sleep, and a key may be missing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.integration.rag.fakes import Server
from tests.integration.twin.conftest import REGION
from tests.integration.twin.recorded import Recorded
from twin.deploy import ready
from twin.target import api_client, parking
from twin.target.errors import TwinError
from twin.target.stage import Stage
from twin.target.waking import await_service

Aws = Callable[[str], Any]

OK = {"state": "ok"}
ASLEEP = {"state": "asleep", "detail": "Endpoint twin-dev-llm has no capacity now."}
DOWN = {"state": "down", "detail": "It is away."}
DEV = Stage("dev", REGION)
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/twin-dev-llm-model",
    "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
}
PARKED = {"DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}


class Service(Server):
    """`/readyz` of a service; without `wake` the model is left out."""

    def __init__(self) -> None:
        self.dependencies: dict[str, dict[str, str]] = {"qdrant": OK, "llm": OK, "samples_queue": OK}
        self.asked: list[str] = []
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        self.asked.append(request.path)
        left_out = "llm" if request.path.endswith("wake=false") else ""
        states = {name: state for name, state in self.dependencies.items() if name != left_out}
        found = {state["state"] for state in states.values()}
        status = "not_ready" if "down" in found else "asleep" if "asleep" in found else "ready"
        return 503 if "down" in found else 200, {"status": status, "dependencies": states}, {}


@pytest.fixture
def service(shell: pytest.MonkeyPatch, recorded: Recorded) -> Iterator[Service]:
    shell.setenv("AWS_ENDPOINT_URL_SAGEMAKER", recorded.url)
    shell.setattr(api_client, "api_key", lambda _: "key")
    shell.setattr(ready, "READY_SECONDS", 1.0)
    copies(recorded, 1)
    made = Service()
    yield made
    made.stop()


@pytest.fixture
def key(aws: Aws) -> Iterator[str]:
    """The secret of the store's key, as the stack creates it."""
    client = aws("secretsmanager")
    arn = client.create_secret(Name="key", Description=ready.UNFILLED, SecretString="generated")["ARN"]
    yield arn
    client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def copies(recorded: Recorded, current: int) -> None:
    runtime = {"CurrentCopyCount": current, "DesiredCopyCount": current}
    recorded.operations["DescribeInferenceComponent"] = {"RuntimeConfig": runtime}


def wait(service: Service, key: str) -> list[str]:
    return ready.wait_until_ready(Stage("dev", REGION), {"ApiUrl": service.url, "QdrantApiKeySecretArn": key})


def test_a_model_without_copies_is_left_asleep_and_said(service: Service, key: str, recorded: Recorded) -> None:
    copies(recorded, 0)
    service.dependencies["llm"] = ASLEEP
    (note,) = wait(service, key)
    assert "asleep" in note and "twin ask --wait --stage dev" in note
    assert service.asked == ["/readyz?wake=false"]


def test_a_model_that_fell_asleep_meanwhile_is_asked_once(service: Service, key: str) -> None:
    service.dependencies |= {"llm": ASLEEP, "samples_queue": DOWN}
    with pytest.raises(TwinError, match="samples_queue"):
        wait(service, key)
    assert service.asked[0] == "/readyz" and set(service.asked[1:]) == {"/readyz?wake=false"}


def test_a_model_that_fails_is_no_finished_deployment(service: Service, key: str) -> None:
    service.dependencies["llm"] = DOWN
    with pytest.raises(TwinError, match=r"not ready after 1 s.*It is away"):
        wait(service, key)


def test_a_key_that_was_not_filled_in_is_named_with_what_to_do(service: Service, key: str) -> None:
    service.dependencies["qdrant"] = DOWN
    (note,) = wait(service, key)
    assert "`twin secrets set qdrant --stage dev`" in note


def test_a_store_that_is_down_with_its_key_filled_in_is_no_finished_deployment(
    service: Service, key: str, aws: Aws
) -> None:
    aws("secretsmanager").put_secret_value(SecretId=key, SecretString="from Qdrant")
    service.dependencies["qdrant"] = DOWN
    with pytest.raises(TwinError, match="not ready"):
        wait(service, key)
    service.dependencies["qdrant"] = OK
    assert wait(service, key) == []


def test_a_question_that_waits_wakes_the_model_and_names_what_else_is_missing(service: Service) -> None:
    service.dependencies["llm"] = ASLEEP
    said: list[str] = []
    woken = threading.Timer(0.3, service.dependencies.update, ({"llm": OK},))

    def progress(line: str) -> None:
        said.append(line)
        woken.start()

    with api_client.ApiClient(DEV, {"ApiUrl": service.url}) as api:
        await_service(DEV, api, progress)
        assert said == ["waiting for the model to wake"]
        assert len(service.asked) > 1 and set(service.asked) == {"/readyz"}
        service.dependencies |= {"llm": ASLEEP, "qdrant": DOWN}
        with pytest.raises(TwinError, match=r"qdrant: It is away\."):
            await_service(DEV, api, said.append)
    woken.join()


@pytest.fixture
def scaling(service: Service, aws: Aws) -> Iterator[Any]:
    """Application Auto Scaling with the model's target, which the guard has suspended."""
    client = aws("application-autoscaling")
    client.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=0, SuspendedState=PARKED)
    yield client
    client.deregister_scalable_target(**TARGET)


def test_a_question_that_waits_says_at_once_that_the_model_is_parked(service: Service, scaling: Any) -> None:
    said = "stage dev is parked: `twin deploy --stage dev` brings it back"
    with api_client.ApiClient(DEV, {"ApiUrl": service.url}) as api, pytest.raises(TwinError, match=said):
        await_service(DEV, api, lambda _: None)
    assert service.asked == []


@pytest.mark.parametrize("hours", [None, {}, {"start": "00:00", "end": "00:01", "days": ["sun"]}])
def test_a_parked_model_scales_again_within_the_bounds_of_the_moment(
    scaling: Any, shell: pytest.MonkeyPatch, hours: dict[str, Any] | None
) -> None:
    if hours is not None:
        shell.setenv("TWIN_GUARD__OFFICE_HOURS", json.dumps(hours))
    shell.setattr(parking, "datetime", Wednesday)
    assert parking.is_parked(DEV)
    assert parking.unpark(DEV)
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert not any(found["SuspendedState"].values())
    # Without office hours nothing else may have changed the bounds.
    assert found["MaxCapacity"] == (1 if hours == {} else 0)
    assert not parking.is_parked(DEV) and not parking.unpark(DEV)


def test_a_stage_without_a_model_that_scales_is_not_parked(service: Service) -> None:
    assert not parking.is_parked(DEV)


class Wednesday(datetime):
    """At noon."""

    @classmethod
    def now(cls, tz: Any = None) -> Wednesday:
        return cls(2030, 1, 2, 12, tzinfo=tz)
