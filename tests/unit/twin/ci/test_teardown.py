"""Deletion of a preview: its proof in a file, and what a failure leaves there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from twin.ci import teardown
from twin.inventory.survivors import Survivor
from twin.target.errors import TwinError
from twin.target.stage import Stage

REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "DeleteStack")
STAGE = Stage("pr-7", "us-east-1", {})


def test_the_proof_names_survivors_and_services_and_a_failure_leaves_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "proof.json"

    def fail(*_: object) -> list[Survivor]:
        raise TwinError("The stack is protected.")

    monkeypatch.setattr(teardown, "delete", fail)
    with pytest.raises(TwinError, match="protected"):
        teardown.delete_with_proof(STAGE, proof, print)
    assert proof.read_text() == ""

    monkeypatch.setattr(teardown, "delete", lambda *_: [])
    teardown.delete_with_proof(STAGE, proof, print)
    found = json.loads(proof.read_text())
    assert found["survivors"] == [] and "s3" in {name.lower() for name in found["services"]}

    monkeypatch.setattr(teardown, "delete", lambda *_: [Survivor("s3", "bucket", "kept")])
    with pytest.raises(TwinError, match=r"1 survivors of pr-7"):
        teardown.delete_with_proof(STAGE, proof, print)
    (survivor,) = json.loads(proof.read_text())["survivors"]
    assert (survivor["service"], survivor["kind"], survivor["name"]) == ("s3", "bucket", "kept")


@pytest.mark.parametrize("error", [REFUSED, NoCredentialsError(), TwinError("The stack is protected.")])
def test_a_stage_that_cannot_be_deleted_does_not_keep_the_others_alive(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []

    def delete(stage: Stage, _: object) -> list[Survivor]:
        if stage.name == "pr-7":
            raise error
        deleted.append(stage.name)
        return []

    monkeypatch.setattr(teardown, "delete", delete)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(TwinError, match="Not everything is gone: pr-7: "):
        teardown.delete_all(["pr-7", "pr-8"], print)
    assert deleted == ["pr-8"]
