"""The evaluation functions' layer: what is left out, what must stay, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.constructs.functions import service_function
from infra.settings.evaluation import EvaluationSettings
from infra.settings.retrieval import EmbeddingSettings
from scripts import build_evaluation_layer as layer
from twin.target.paths import EMBEDDING_MODEL, ROOT


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def test_what_functions_never_read_is_left_out(tmp_path: Path) -> None:
    kept = ("numpy/core.py", "numpy-1.dist-info/LICENSE", "botocore/data/endpoints.json", "botocore/data/ssm/2014/x.gz")
    write(tmp_path, *kept)
    write(tmp_path, "numpy/tests/test_a.py", "numpy/core.pyi", "botocore/data/ec2/2016/x.gz", "huggingface_hub/a.py")
    layer.strip(tmp_path)
    assert {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()} == set(kept)


def test_every_client_that_a_function_makes_keeps_its_description() -> None:
    made = set()
    for folder in layer.SHIPPED_BESIDE:
        for file in (ROOT / folder).rglob("*.py"):
            made |= set(re.findall(r'(?:boto3\.client|runtime_client)\(\s*"([a-z0-9-]+)"', file.read_text()))
    assert len(made) > 5
    assert made <= set(layer.AWS_SERVICES)


def test_more_than_lambda_unpacks_is_refused() -> None:
    layer.refuse_too_much(layer.LIMIT_BYTES)
    with pytest.raises(layer.LayerError, match="are 260 MB, Lambda takes 250"):
        layer.refuse_too_much(260 * 1024**2)


def test_a_missing_interpreter_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(layer.LayerError, match=r"Python 3\.99 is not on this machine.*give its version as --python"):
        layer.build(tmp_path / "layer", python="3.99")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_is_up_to_date_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "python/numpy.py")
    (tmp_path / layer.STAMP).write_text(json.dumps(layer.stamp("3.99", "aarch64")) + "\n")
    assert layer.build(tmp_path, python="3.99") == layer.size_of([tmp_path])
    assert (tmp_path / "python" / "numpy.py").is_file()


def test_a_layer_is_taken_for_built_only_with_todays_lock_and_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_function, "LAYER", tmp_path)
    runtime = EvaluationSettings().runtime
    assert service_function._built_from(runtime) is None
    stamp = layer.stamp(layer.PYTHON, "aarch64")
    file = tmp_path / layer.STAMP
    file.write_text(json.dumps(stamp))
    assert service_function._built_from(runtime) == file.read_bytes()
    for wrong in ({"lock": "0"}, {"machine": "x86_64"}, {"runtime": "python3.12"}):
        file.write_text(json.dumps({**stamp, **wrong}))
        assert service_function._built_from(runtime) is None


def test_the_default_is_what_the_stack_wants() -> None:
    assert EvaluationSettings().runtime == f"python{layer.PYTHON}"
    assert EmbeddingSettings().model_dir == f"/opt/models/{EMBEDDING_MODEL.name}"
    assert service_function.LAYER == layer.OUT
    assert service_function.STAMP == layer.STAMP
