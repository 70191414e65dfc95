"""`twin model stage`: a small repository of a hub over HTTP into the emulator's S3, also after things went wrong."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from typer.testing import CliRunner

from tests.aws import aws_environment
from tests.integration.twin import hub_server
from tests.integration.twin.conftest import ACCOUNT, REGION, ROOT, loader
from tests.integration.twin.hub_server import MODEL, REVISION, Hub
from tests.program import TWIN
from twin import app as cli
from twin.delete.leftovers import LEFTOVERS
from twin.doctor.account import open_context
from twin.doctor.check import run as run_checks
from twin.doctor.finding import Status
from twin.doctor.model import CHECKS, STAGED
from twin.inventory.ownership import Ownership
from twin.model import download, staging
from twin.model import stage_weights as command
from twin.model.bucket import Bucket
from twin.model.hub import Hub as HubClient
from twin.model.staging import Place
from twin.target.errors import TwinError
from twin.target.stage import Stage

Aws = Callable[[str], Any]
BUCKET = f"twin-dev-weights-{ACCOUNT}-{REGION}"
PREFIX = f"models/{MODEL}/{REVISION}/"
PART = 5 * 1024**2
"""The smallest part that S3 takes."""
WEIGHTS = random.Random(1).randbytes(400_000)
FILES = {
    "config.json": b'{"num_hidden_layers": 2}',
    "model.safetensors": WEIGHTS,
    "tokenizer/tokens one.json": b"{}",
    "pytorch_model.bin": WEIGHTS[::-1],
    "original/consolidated.safetensors": WEIGHTS,
    ".gitattributes": b"*.safetensors filter=lfs",
}
SERVED = {"config.json", "model.safetensors", "tokenizer/tokens one.json"}


def silent(line: str) -> None:
    """Progress that is dropped."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server.serving(dict(FILES)) as server:
        yield server


@pytest.fixture
def environment(emulator_url: str, hub: Hub, tmp_path: Path) -> dict[str, str]:
    return {
        **aws_environment(emulator_url, REGION),
        "HF_ENDPOINT": hub.url,
        "TWIN_LLM__MODEL_ID": MODEL,
        "TWIN_LLM__MODEL_REVISION": REVISION,
        "TWIN_STATE_ROOT": str(tmp_path),
    }


@pytest.fixture(autouse=True)
def _shell(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(botocore.session, "create_loader", loader)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def s3(aws: Aws) -> Iterator[Any]:
    """The emulator's S3, without the bucket afterwards."""
    client = aws("s3")
    yield client
    (buckets,) = [leftover for leftover in LEFTOVERS if leftover.kind == "bucket"]
    buckets.remove(Ownership(SimpleNamespace(client=aws)), BUCKET)  # type: ignore[arg-type]


def staged(scratch: Path, **more: Any) -> command.Outcome:
    return command.stage_weights("dev", silent, scratch=scratch, **more)


def objects(s3: Any, bucket: str = BUCKET) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in found}


def test_the_model_is_uploaded_as_it_is_and_a_second_run_uploads_nothing(
    s3: Any, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = staged(tmp_path / "scratch")
    assert (set(outcome.uploaded), outcome.present) == (SERVED, [])
    assert set(outcome.skipped) == set(FILES) - SERVED
    held = objects(s3)
    listed = json.loads(held.pop(f"models/{MODEL}/{REVISION}.json"))
    assert held == {f"{PREFIX}{name}": FILES[name] for name in SERVED}
    checksums = {
        entry["path"]: s3.head_object(Bucket=BUCKET, Key=PREFIX + entry["path"], ChecksumMode="ENABLED")
        for entry in listed["files"]
    }
    assert set(checksums) == SERVED
    for entry in listed["files"]:
        assert checksums[entry["path"]]["ChecksumSHA256"] == entry["checksum"]
    assert not list((tmp_path / "scratch").rglob("*.*"))
    before = len(hub.gets), hub.lists
    # The second run does not even need the hub.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = staged(tmp_path / "scratch")
    assert (again.uploaded, set(again.present)) == ([], SERVED)
    assert again.sentence.startswith("Nothing to upload: all 3 files")
    assert (len(hub.gets), hub.lists) == before


def test_the_bucket_is_closed_encrypted_and_the_stages_own(s3: Any, tmp_path: Path) -> None:
    staged(tmp_path)
    policy = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    rules = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]}
    assert tags == {"project": "llm-twin", "stage": "dev"}
    # `twin delete` finds it, empties it and removes it.
    (buckets,) = [leftover for leftover in LEFTOVERS if leftover.kind == "bucket"]
    own = Ownership(Stage("dev", REGION))
    assert buckets.find(own) == [BUCKET]
    buckets.remove(own, BUCKET)
    assert buckets.find(own) == []


def test_a_dry_run_changes_nothing(s3: Any, hub: Hub, tmp_path: Path) -> None:
    outcome = staged(tmp_path, dry_run=True)
    assert set(outcome.uploaded) == SERVED
    assert "3 files would be uploaded" in outcome.sentence
    assert hub.gets == []
    assert BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}


def test_a_run_that_is_killed_in_a_download_continues_at_the_byte(
    s3: Any, hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    hub.stalled_at["model.safetensors"] = 300_000
    arguments = ["model", "stage", "--stage", "dev", "--scratch", str(tmp_path), "--json"]
    process = subprocess.Popen([TWIN, *arguments], cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.PIPE)
    try:
        assert hub.stalling.wait(60)
        local = tmp_path / MODEL / REVISION / "model.safetensors"
        while local.stat().st_size < 200_000:
            assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=20)
    kept = local.stat().st_size
    hub.stalled_at.clear()
    ran = CliRunner().invoke(cli.app, arguments)
    assert ran.exit_code == 0, ran.output
    assert hub.gets[-2:] == [("model.safetensors", kept), ("tokenizer/tokens one.json", 0)]
    # What the first run had uploaded is not fetched again.
    outcome = json.loads(ran.stdout)
    assert outcome["present"] == ["config.json"]
    assert objects(s3)[f"{PREFIX}model.safetensors"] == WEIGHTS


def test_a_connection_that_breaks_off_is_continued(s3: Any, hub: Hub, tmp_path: Path) -> None:
    hub.broken_at["model.safetensors"] = 100_000
    staged(tmp_path)
    assert [first for name, first in hub.gets if name == "model.safetensors"] == [0, 100_000]
    assert objects(s3)[f"{PREFIX}model.safetensors"] == WEIGHTS


def test_an_upload_in_parts_is_continued_at_the_part(s3: Any, hub: Hub, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(2 * PART + 1000)
    hub.files["model.safetensors"] = content
    bucket = Bucket(s3, BUCKET, REGION, part_bytes=PART)
    bucket.create({})
    place, client = Place(MODEL, REVISION, PREFIX), HubClient()
    planned = staging.plan(bucket, place, client, is_new=False)
    sent: list[str] = []

    def stopped_after_one(line: str) -> None:
        if "part " in line:
            sent.append(line)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staging.stage(bucket, place, client, planned, tmp_path, stopped_after_one)
    planned = staging.plan(bucket, place, client, is_new=False)
    assert "model.safetensors" in {file.path for file in planned.missing}
    lines: list[str] = []
    staging.stage(bucket, place, client, planned, tmp_path, lines.append)
    assert sent == ["model.safetensors: part 1 of 3 uploaded"]
    assert [line for line in lines if "part " in line] == [
        "model.safetensors: part 2 of 3 uploaded",
        "model.safetensors: part 3 of 3 uploaded",
    ]
    assert [first for name, first in hub.gets if name == "model.safetensors"] == [0]
    assert objects(s3)[f"{PREFIX}model.safetensors"] == content
    # S3's own checksum of the parts, not one that was calculated here.
    head = s3.head_object(Bucket=BUCKET, Key=f"{PREFIX}model.safetensors", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-3")
    assert staging.plan(bucket, place, client, is_new=False).missing == ()


def test_an_object_that_was_changed_is_uploaded_again(s3: Any, tmp_path: Path) -> None:
    staged(tmp_path)
    key = f"{PREFIX}model.safetensors"
    digest = s3.head_object(Bucket=BUCKET, Key=key)["Metadata"]
    other = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    s3.put_object(Bucket=BUCKET, Key=key, Body=other, Metadata=digest, ChecksumAlgorithm="SHA256")
    assert staged(tmp_path).uploaded == ["model.safetensors"]
    assert objects(s3)[key] == WEIGHTS


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_not_what_the_hub_lists_is_not_uploaded(s3: Any, hub: Hub, tmp_path: Path, name: str) -> None:
    hub.altered[name] = bytes([FILES[name][0] ^ 1]) + FILES[name][1:]
    with pytest.raises(TwinError, match=f"{name} is not what the hub lists"):
        staged(tmp_path)
    assert f"{PREFIX}{name}" not in objects(s3)
    assert f"models/{MODEL}/{REVISION}.json" not in objects(s3)
    hub.altered.clear()
    assert name in staged(tmp_path).uploaded


def test_a_path_that_leads_out_of_the_folder_is_refused(s3: Any, hub: Hub, tmp_path: Path) -> None:
    hub.files["../config.json"] = b"{}"
    with pytest.raises(TwinError, match=r"lists a file with the path '\.\./config\.json'"):
        staged(tmp_path / "scratch")
    assert hub.gets == []


def test_a_model_without_weights_is_refused(s3: Any, hub: Hub, tmp_path: Path) -> None:
    for name in [name for name in hub.files if not name.endswith(".json")]:
        del hub.files[name]
    with pytest.raises(TwinError, match="no weights that vLLM loads"):
        staged(tmp_path)


def test_more_than_was_listed_is_an_error(s3: Any, hub: Hub, tmp_path: Path) -> None:
    hub.altered["model.safetensors"] = WEIGHTS + b"!"
    with pytest.raises(TwinError, match=r"sends more of model\.safetensors"):
        staged(tmp_path)


def test_a_gated_model_needs_a_token_which_stays_with_the_hub(
    s3: Any, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.reader = "hf-reader"
    with pytest.raises(TwinError, match=r"gated.*accept its terms.*HF_TOKEN"):
        staged(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf-reader")
    assert set(staged(tmp_path).uploaded) == SERVED
    assert hub.tokens == {"127.0.0.1": "Bearer hf-reader", "localhost": ""}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TWIN_LLM__MODEL_REVISION", "d" * 40, "no revision d{40}: take a commit"),
        ("TWIN_LLM__MODEL_ID", "maker/other", "no maker/other for this caller"),
        ("HF_ENDPOINT", "http://127.0.0.1:9", "cannot be reached"),
        ("TWIN_LLM__WEIGHTS_BUCKET", "nowhere-at-all", "There is no bucket nowhere-at-all: create it"),
        ("TWIN_LLM__MAX_COPIES", "none", "llm.max_copies"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    variable: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(TwinError, match=said):
        staged(tmp_path)


def test_a_full_disk_is_said_before_the_first_byte(
    s3: Any, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test fills a disk: the margin that is asked for is larger than any."""
    monkeypatch.setattr(staging, "MARGIN_BYTES", 10**18)
    with pytest.raises(TwinError, match=r"MB free.*--scratch"):
        staged(tmp_path)
    assert hub.gets == []


def test_the_preflight_wants_the_whole_model_in_the_bucket(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_LLM__WEIGHTS", "s3")

    def seen() -> tuple[Status, str, str]:
        context, _ = open_context("dev")
        (found,) = run_checks([check for check in CHECKS if check.name == STAGED], context)
        return found.status, found.seen, found.fix

    status, what, fix = seen()
    assert (status, fix) == (Status.FAILED, "`twin model stage --stage dev`")
    assert "no complete model" in what
    staged(tmp_path)
    assert seen()[:2] == (Status.OK, f"3 files in s3://{BUCKET}/{PREFIX}")
    s3.delete_object(Bucket=BUCKET, Key=f"{PREFIX}config.json")
    status, what, _ = seen()
    assert status is Status.FAILED
    assert "config.json" in what
    assert "model.safetensors" not in what


def test_a_bucket_of_the_users_own_is_filled_and_left_as_it_is(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.create_bucket(Bucket="team-models")
    monkeypatch.setenv("TWIN_LLM__WEIGHTS_BUCKET", "team-models")
    monkeypatch.setenv("TWIN_LLM__WEIGHTS", "s3")
    outcome = staged(tmp_path)
    assert outcome.uri == f"s3://team-models/{PREFIX}"
    assert outcome.used
    assert objects(s3, "team-models")[f"{PREFIX}config.json"] == FILES["config.json"]
    with pytest.raises(s3.exceptions.ClientError):
        s3.get_bucket_policy(Bucket="team-models")
    # Not the stage's: no delete touches it.
    assert not Ownership(Stage("dev", REGION)).owns("team-models")
