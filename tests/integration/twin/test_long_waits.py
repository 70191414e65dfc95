"""What lasts half an hour on AWS, waited for in seconds by the target's clock: wakes, deletions, watches, rollbacks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from localcloud.runner.aws import Aws as RunnerAws
from localcloud.runner.sagemaker import SageMakerRunner
from localcloud.sagemaker_runtime.routing import RoutingTable
from tests.aws import CREDENTIALS, aws_environment, put_alarm
from tests.integration.delivery.test_releases import git
from tests.integration.emulator.cases import ROLE
from tests.integration.emulator.conftest import Emulator, Stacks, eventually, running
from tests.integration.emulator.test_long_polls import waiting
from tests.integration.emulator.test_stack_times import edge
from tests.integration.rag.fakes import Server
from twin.app import app
from twin.ci import releases
from twin.delete import delete as command
from twin.delete.delete import delete
from twin.target import api_client
from twin.target.api_client import ApiClient
from twin.target.errors import TwinError
from twin.target.stage import Stage
from twin.target.waking import await_service

REGION = "us-east-1"
FACTOR = 300.0
"""A minute takes 0.2 s, half an hour 6 s."""
WORK_SECONDS = 3
NEVER = "1e9"
STAGE = "dev"
NAME = f"twin-{STAGE}-llm"
COMPONENT = f"{NAME}-model"
TAGS = [{"Key": "project", "Value": "llm-twin"}, {"Key": "stage", "Value": STAGE}]
IMAGES = "llm-twin/rag"


class Model:
    """An endpoint of stage dev whose component sleeps, with the runner that wakes it."""

    def __init__(self, emulator: Emulator, root: Path) -> None:
        self.sagemaker = emulator.client("sagemaker")
        variant = {"VariantName": "AllTraffic", "InitialInstanceCount": 1, "InstanceType": "ml.g6.2xlarge"}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=NAME, ExecutionRoleArn=ROLE, ProductionVariants=[variant], Tags=TAGS
        )
        self.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME, Tags=TAGS)
        container = {"Image": "example/llm", "Environment": {"LLM_ENGINE": "confabulating", "MODEL_ID": "test/model"}}
        self.sagemaker.create_inference_component(
            InferenceComponentName=COMPONENT,
            EndpointName=NAME,
            VariantName="AllTraffic",
            Specification={"Container": container, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}},
            RuntimeConfig={"CopyCount": 1},
            Tags=TAGS,
        )
        emulator.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"inference-component/{COMPONENT}",
            ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
            MinCapacity=0,
            MaxCapacity=1,
        )
        self.table = RoutingTable()
        self._runner = SageMakerRunner(RunnerAws(emulator.url, "http://127.0.0.1:1", CREDENTIALS), root, self.table)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        # SageMaker creates no component without a copy: it falls asleep after the first.
        eventually(lambda: self.copies() == 1, "the first copy does not serve", 60)
        self.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName=COMPONENT, DesiredRuntimeConfig={"CopyCount": 0}
        )
        eventually(lambda: self.copies() == 0, "the first copy does not end", 60)

    def copies(self) -> int:
        """Copies that serve."""
        found = self.sagemaker.describe_inference_component(InferenceComponentName=COMPONENT)
        return int(found["RuntimeConfig"]["CurrentCopyCount"])

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            try:
                self._runner.tick()
            except ClientError:
                continue  # deleted between two of its looks, as in the supervisor
        self._runner.stop()

    def ask(self) -> bool:
        """Whether the model answers; a call that finds no copy is one that wakes."""
        if self.copies():
            return True
        self.table.report_no_capacity(NAME, COMPONENT)
        return False

    def status(self) -> str:
        found = self.sagemaker.describe_inference_component(InferenceComponentName=COMPONENT)
        return str(found["InferenceComponentStatus"])

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(20)


class Service(Server):
    """`/readyz` of a service over the model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        super().__init__()

    def handle(self, request: Any, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        awake = self.model.ask()
        llm = {"state": "ok"} if awake else {"state": "asleep", "detail": "has no capacity"}
        return 200, {"status": "ready" if awake else "asleep", "dependencies": {"llm": llm}}, {}


@contextmanager
def account(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Iterator[Emulator]:
    """An emulator on a quick clock, which this process's AWS calls go to."""
    environment = {
        "LOCALCLOUD_CONTAINERS": "external",
        "LOCALCLOUD_TIME_FACTOR": str(FACTOR),
        "LOCALCLOUD_STABILISE_SECONDS": str(WORK_SECONDS),
        **settings,
    }
    folder.mkdir()
    with running(folder, **environment) as emulator:
        for name, value in {**environment, **aws_environment(emulator.url)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(command, "key_file", lambda stage: folder / "key")
        yield emulator


@pytest.fixture
def with_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Model]]:
    """Makes the model of stage dev, whose wake lasts as long as is said."""
    with ExitStack() as stack:

        def make(wake: str, **settings: str) -> Model:
            folder = tmp_path / "emulator"
            emulator = stack.enter_context(account(folder, monkeypatch, LOCALCLOUD_WAKE=wake, **settings))
            model = Model(emulator, tmp_path)
            stack.callback(model.stop)
            return model

        yield make


def wait(model: Model, monkeypatch: pytest.MonkeyPatch) -> float:
    """Real seconds until the service answers."""
    service = Service(model)
    monkeypatch.setattr(api_client, "api_key", lambda _: "key")
    stage, began = Stage(STAGE, REGION), time.monotonic()
    try:
        with ApiClient(stage, {"ApiUrl": service.url}) as api:
            await_service(stage, api, lambda _: None)
    finally:
        service.stop()
    return time.monotonic() - began


def test_a_wake_of_25_minutes_is_waited_for(with_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch) -> None:
    # The container starts at its own pace, on machines that are busy with other tests.
    took = wait(with_model("1500", LOCALCLOUD_STABILISE_SECONDS="40"), monkeypatch)
    assert 1500 / FACTOR <= took < 45


def test_a_wake_that_never_ends_is_given_up_after_half_an_hour(
    with_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, began = with_model(NEVER), time.monotonic()
    with pytest.raises(TwinError, match=r'is not ready after 1800 s: .*"llm": \{"state": "asleep"'):
        wait(model, monkeypatch)
    assert 1800 / FACTOR <= time.monotonic() - began < 1800 / FACTOR + 30
    assert model.status() == "Updating"


def waking(model: Model) -> None:
    """Begin a wake, and wait until the component is in its transition."""
    model.ask()
    eventually(lambda: model.status() == "Updating", "the model does not wake")


def test_a_deletion_waits_for_a_wake_that_lasts(with_model: Callable[..., Model]) -> None:
    model, said = with_model("1000"), list[str]()
    waking(model)
    began = time.monotonic()
    assert delete(Stage(STAGE, REGION), said.append) == []
    assert time.monotonic() - began >= (1000 - 100) / FACTOR
    assert len([line for line in said if "while it is in state UPDATE_RC_IN_PROGRESS" in line]) == 1


def test_a_deletion_names_what_a_wake_without_end_keeps(with_model: Callable[..., Model]) -> None:
    model = with_model(NEVER)
    waking(model)
    began = time.monotonic()
    left = {(each.kind, each.name) for each in delete(Stage(STAGE, REGION), lambda _: None)}
    assert ("inference component", COMPONENT) in left
    assert command.COMPONENT_SECONDS / FACTOR <= time.monotonic() - began < 60


def test_a_watch_of_15_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = ["ci", "watch-alarms", "--stage", STAGE, "--minutes", "15"]
    with account(tmp_path / "emulator", monkeypatch) as emulator:
        cloudwatch, sns = emulator.client("cloudwatch"), emulator.client("sns")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        stacks = Stacks(emulator.client("cloudformation"))
        outputs = {"AlertsTopicArn": topic}
        assert stacks.create(f"twin-{STAGE}-evaluation", {"Topic": {"Type": "AWS::SNS::Topic"}}, outputs)
        put_alarm(cloudwatch, f"twin-{STAGE}-business-Late1", topic)

        began = time.monotonic()
        quiet = CliRunner().invoke(app, watch)
        assert (quiet.exit_code, quiet.stdout) == (0, "1 alarms stayed quiet.\n"), quiet.output
        assert 900 / FACTOR <= time.monotonic() - began < 900 / FACTOR + 20

        def ring() -> None:
            cloudwatch.set_alarm_state(AlarmName=f"twin-{STAGE}-business-Late1", StateValue="ALARM", StateReason="test")

        in_minute_ten = threading.Timer(600 / FACTOR, ring)
        in_minute_ten.start()
        rung = CliRunner().invoke(app, watch)
        in_minute_ten.join()
        assert str(rung.exception) == f"Alarms since the release: twin-{STAGE}-business-Late1."


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Emulator, Stage], Path]:
    """Stores a good release of the stage; returns its repository, whose deployment leaves the file `deployed`."""

    def make(emulator: Emulator, stage: Stage) -> Path:
        monkeypatch.setattr(releases, "WORKTREE", tmp_path / "rollback")
        repository = tmp_path / "repository"
        repository.mkdir()
        git(repository, "init", "--quiet")
        (repository / "Makefile").write_text(f"deploy-inference-pipeline:\n\t@touch {tmp_path / 'deployed'}\n")
        git(repository, "add", "-A")
        git(repository, "commit", "--quiet", "-m", "good")
        commit = git(repository, "rev-parse", "HEAD")
        ecr = emulator.client("ecr")
        ecr.create_repository(repositoryName=IMAGES)
        manifest = json.dumps({"schemaVersion": 2, "layers": []})
        image = ecr.put_image(repositoryName=IMAGES, imageManifest=manifest, imageTag=commit)["image"]
        releases.store_last_good(stage, releases.Release(commit, image["imageId"]["imageDigest"]))
        return repository

    return make


def test_a_rollback_waits_for_an_update_in_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: Callable[[Emulator, Stage], Path]
) -> None:
    with account(tmp_path / "emulator", monkeypatch, LOCALCLOUD_STACK_TIMES="on") as emulator:
        stage, stacks = Stage("prod", REGION), Stacks(emulator.client("cloudformation"))
        repository = release(emulator, stage)
        name = stage.stack("business")
        stacks.start_creation(name, edge())
        assert stacks.status(name) == "CREATE_IN_PROGRESS"
        releases.roll_back(stage, IMAGES, repository)
        assert stacks.status(name) == "CREATE_COMPLETE"
        assert (tmp_path / "deployed").exists()
        (tmp_path / "deployed").unlink()
        stacks.start_update(name, edge("two"))
        releases.roll_back(stage, IMAGES, repository)
        assert stacks.status(name) == "UPDATE_COMPLETE"
        assert (tmp_path / "deployed").exists()


def test_a_rollback_gives_up_on_an_update_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: Callable[[Emulator, Stage], Path]
) -> None:
    with account(tmp_path / "emulator", monkeypatch, LOCALCLOUD_TIME_FACTOR="1200") as emulator:
        stage, stacks = Stage("prod", REGION), Stacks(emulator.client("cloudformation"))
        repository = release(emulator, stage)
        stacks.start_creation(stage.stack("llm"), waiting(12))
        began = time.monotonic()
        with pytest.raises(TwinError, match=r"twin-prod-llm is CREATE_IN_PROGRESS\. prod needs a person now"):
            releases.roll_back(stage, IMAGES, repository)
        assert releases.SETTLE_SECONDS / 1200 <= time.monotonic() - began < 30
        assert not (tmp_path / "deployed").exists()
