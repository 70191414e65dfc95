"""The labelled questions over the example corpus, with the real embedding model and a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rag.local_servers import PATIENT, qdrant
from tests.program import TWIN

ROOT = Path(__file__).resolve().parents[3]
# Some hundred searches in each of five modes, on a machine that may be busy.
pytestmark = pytest.mark.timeout(600)
LABELS = ROOT / "examples" / "retrieval.jsonl"


@dataclass
class Filled:
    """A store that holds the example corpus, as the environment of commands names it."""

    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
        )

    def evaluate(self, labels: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """`twin evaluate-rag` of a stage whose store the environment names."""
        return self.run(TWIN, "evaluate-rag", str(labels), "--stage", "tests", *options)


@pytest.fixture(scope="module")
def filled(embedding_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        found = Filled(
            {
                **os.environ,
                **PATIENT,
                "AWS_REGION": "eu-west-1",
                "QDRANT_URL": url,
                "EMBEDDING_MODEL_DIR": str(embedding_model),
                "NO_PROXY": "127.0.0.1",
            }
        )
        done = found.run(sys.executable, "-m", "services.rag.ingest", "examples/corpus")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["added"] >= 40
        yield found


@pytest.fixture(scope="module")
def evaluated(filled: Filled) -> subprocess.CompletedProcess[str]:
    # Nothing reaches an nDCG of 1: the same run shows how a threshold that is missed ends.
    return filled.evaluate(LABELS, "--json", "--at-least", "ndcg@10=1", "--at-least", "mrr=0.1")


@pytest.fixture(scope="module")
def report(evaluated: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert evaluated.stdout, evaluated.stderr
    found: dict[str, Any] = json.loads(evaluated.stdout)
    return found


@pytest.mark.parametrize("better", ["hybrid+rerank", "service"])
def test_reranked_hybrid_search_is_not_worse_than_dense_search(report: dict[str, Any], better: str) -> None:
    dense, ours = (report["modes"][mode]["means"] for mode in ("dense", better))
    assert set(dense) == {"recall@1", "recall@3", "recall@5", "recall@10", "mrr", "ndcg@10"}
    worse = {figure: (dense[figure], value) for figure, value in ours.items() if value < dense[figure]}
    assert worse == {}


def test_every_mode_is_compared_with_dense_search(report: dict[str, Any]) -> None:
    modes = report["modes"]
    assert list(modes) == ["dense", "sparse", "hybrid", "hybrid+rerank", "service"]
    assert report["queries"] == len(LABELS.read_text(encoding="utf-8").splitlines())
    assert modes["dense"]["against_dense"] == {}
    for name in ("sparse", "hybrid", "hybrid+rerank", "service"):
        for figure, difference in modes[name]["against_dense"].items():
            measured = modes[name]["means"][figure] - modes["dense"]["means"][figure]
            assert difference["mean"] == pytest.approx(measured)
            assert difference["low"] <= difference["mean"] <= difference["high"]
    assert [mode["degraded"] for mode in modes.values()] == [0] * 5


def test_a_missed_threshold_fails_after_the_report(
    evaluated: subprocess.CompletedProcess[str], report: dict[str, Any]
) -> None:
    assert evaluated.returncode == 1
    (missed,) = report["missed"]
    assert missed.startswith("ndcg@10 is 0.") and missed.endswith(", below 1")
    assert f"Error: Retrieval is not as good as asked: {missed}." in evaluated.stderr


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ('{"query": "q"', "Error: Evaluation failed: {file}, line 2: it is not JSON.\n"),
        (
            '{"query": "q", "relevant": ["posts/ada-quill/gone.md", "posts/ada-quill/rrf-constant.md"]}',
            "The store does not hold 1 of the labelled documents, for example posts/ada-quill/gone.md: ",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_one_sentence(filled: Filled, tmp_path: Path, label: str, sentence: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text('{"query": "q", "relevant": ["posts/ada-quill/rrf-constant.md"]}\n' + label, encoding="utf-8")
    done = filled.evaluate(file)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence.replace("{file}", str(file)) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_down_is_one_sentence(filled: Filled) -> None:
    nowhere = Filled({**filled.environment, "QDRANT_URL": "http://127.0.0.1:9"})
    done = nowhere.run(sys.executable, "-m", "services.rag.evaluate_retrieval", str(LABELS))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Evaluation failed: The document store cannot be reached (ConnectError).")
