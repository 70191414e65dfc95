"""What a deployment ingests: once per store and content, a folder for a hosted store by way of the stage's bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.settings.deployment import DeploymentSettings, load_settings
from tests.integration.twin.conftest import REGION
from twin.ask import documents
from twin.deploy import run
from twin.target.stage import Stage

Aws = Callable[[str], Any]
DEV = Stage("dev", REGION)
BUCKET = "twin-dev-business-documents"


@pytest.fixture
def ingested(shell: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Sources that the ingest's program was given, which needs a store."""
    asked: list[str] = []

    def ingest(_: Stage, source: str) -> dict[str, Any]:
        asked.append(source)
        return {"documents": 1}

    shell.setattr(documents, "ingest", ingest)
    shell.setattr(run, "LOCAL", tmp_path / "local")
    return asked


@pytest.fixture
def business(aws: Aws) -> Iterator[Callable[[], None]]:
    """Makes the stage's business stack anew."""
    client = aws("cloudformation")
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}

    def remove() -> None:
        client.delete_stack(StackName="twin-dev-business")
        client.get_waiter("stack_delete_complete").wait(StackName="twin-dev-business", WaiterConfig={"Delay": 1})

    def make() -> None:
        remove()
        client.create_stack(StackName="twin-dev-business", TemplateBody=json.dumps(template))
        client.get_waiter("stack_create_complete").wait(StackName="twin-dev-business", WaiterConfig={"Delay": 1})

    yield make
    remove()


def settings(shell: pytest.MonkeyPatch, folder: Path, **more: str) -> DeploymentSettings:
    shell.setenv("TWIN_RAG__DOCUMENTS", str(folder))
    for name, value in more.items():
        shell.setenv(name, value)
    return load_settings("dev")


def test_a_content_is_ingested_once_into_a_store(
    shell: pytest.MonkeyPatch, ingested: list[str], business: Callable[[], None], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "one.md").write_text("first")
    found, said = settings(shell, folder), list[str]()
    business()
    run.ingest_once(DEV, found, said.append)
    run.ingest_once(DEV, found, said.append)
    assert ingested == [str(folder)] and said[-1].endswith("is in the store already")
    (folder / "one.md").write_text("second")
    run.ingest_once(DEV, found, said.append)
    assert len(ingested) == 2
    # A stage that was made anew has an empty store.
    business()
    run.ingest_once(DEV, found, said.append)
    assert len(ingested) == 3


def test_an_ingest_that_fails_is_taken_again(
    shell: pytest.MonkeyPatch, ingested: list[str], business: Callable[[], None], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    found = settings(shell, tmp_path / "mine")
    business()

    def fail(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "ingest_source", fail)
        run.ingest_once(DEV, found, lambda _: None)
    run.ingest_once(DEV, found, lambda _: None)
    assert len(ingested) == 1


def test_a_folder_for_a_hosted_store_goes_by_way_of_the_stages_bucket(
    shell: pytest.MonkeyPatch, ingested: list[str], aws: Aws, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    (folder / "posts" / "ada").mkdir(parents=True)
    (folder / "posts" / "ada" / "one.md").write_text("text")
    client = aws("s3")
    client.create_bucket(Bucket=BUCKET)
    shell.setattr(documents, "outputs", lambda _: {"DocumentsBucket": BUCKET})
    shell.delenv("TWIN_VECTORS__URL", raising=False)
    found = settings(shell, folder, TWIN_VECTORS='{"url": null, "hosted": {}}')
    documents.ingest_source(DEV, found, str(folder))
    assert ingested == [f"s3://{BUCKET}"]
    assert client.get_object(Bucket=BUCKET, Key="posts/ada/one.md")["Body"].read() == b"text"
