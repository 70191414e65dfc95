"""What of a local cloud is left on the machine, and what is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import lifecycle
from twin.delete.local_data import without_local_data
from twin.deploy import local
from twin.local import demo
from twin.target import local_llm
from twin.target.errors import TwinError
from twin.target.stage import Stage

OF_THE_LOCAL_CLOUD = (
    "data/opik/traces.db",
    "data/qdrant/documents",
    "keys/local",
    "aws-credentials",
    "llm.json",
    "cdk.env",
)
OF_OTHERS = (
    "keys/dev",
    "secrets/dev.json",
    "models/all-MiniLM-L6-v2/model.onnx",
    "prices.json",
    "weights/m/config.json",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`.local` of a machine with a stopped local cloud and a stage on AWS."""
    found = tmp_path / ".local"
    for module in (local, demo):
        monkeypatch.setattr(module, "STATE_ROOT", tmp_path)
    for module in (local, local_llm):
        monkeypatch.setattr(module, "LOCAL", found)
    for name in (*OF_THE_LOCAL_CLOUD, *OF_OTHERS):
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_text("{}")
    return found


def test_a_reset_leaves_nothing_of_the_local_cloud_and_all_of_other_stages(folder: Path) -> None:
    local.reset()
    assert {name for name in OF_THE_LOCAL_CLOUD if (folder / name).exists()} == set()
    assert {name for name in OF_OTHERS if (folder / name).exists()} == set(OF_OTHERS)
    local.reset()


def test_the_demo_does_not_begin_where_it_would_delete_anothers_documents(folder: Path) -> None:
    with pytest.raises(TwinError, match="local-reset"):
        demo.refuse_another_local_cloud()
    assert (folder / "data" / "qdrant" / "documents").exists()
    lifecycle.remove_data(folder.parent)
    demo.refuse_another_local_cloud()


def test_only_the_local_stage_has_data_to_keep() -> None:
    assert without_local_data(Stage("local", "us-east-1"), ["vectors", "data"]) == (("vectors",), True)
    assert without_local_data(Stage("dev", "us-east-1"), ["vectors"]) == (("vectors",), False)
    with pytest.raises(TwinError, match="stage dev has none"):
        without_local_data(Stage("dev", "us-east-1"), ["data"])
