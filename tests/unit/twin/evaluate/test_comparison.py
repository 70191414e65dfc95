"""The evaluation gate: what counts as worse, and that it says where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twin.ci.scores import gate, read
from twin.evaluate.comparison import compare
from twin.target.errors import TwinError


def scores(*values: float) -> dict[str, dict[str, float]]:
    return {"groundedness": {f"q{number}": value for number, value in enumerate(values)}}


def test_the_interval_of_paired_differences_holds_the_mean() -> None:
    (found,) = compare(scores(0.5, 0.6, 0.7, 0.8), scores(0.6, 0.5, 0.9, 0.8))
    assert (found.samples, found.base, found.head) == (4, pytest.approx(0.65), pytest.approx(0.7))
    assert found.low < 0.05 < found.high
    assert found.worse == (("q1", 0.6, 0.5),)
    assert not found.regressed
    assert compare(scores(0.5, 0.6), scores(0.4, 0.6)) == compare(scores(0.5, 0.6), scores(0.4, 0.6))


def test_a_clear_loss_closes_the_gate_and_names_the_samples_worst_first() -> None:
    before, after = scores(*[0.9] * 10), scores(*[0.8] * 9, 0.1)
    (reason,) = gate(before, after)
    assert "groundedness fell from 0.900 to 0.730" in reason
    assert reason.index("q9 (0.90 -> 0.10)") < reason.index("q0 (0.90 -> 0.80)")


def test_noise_passes_and_a_gain_passes() -> None:
    assert gate(scores(0.5, 0.6, 0.7, 0.8), scores(0.6, 0.5, 0.8, 0.7)) == []
    assert gate(scores(0.5, 0.6), scores(0.9, 0.9)) == []


def test_a_metric_or_sample_that_vanished_does_not_pass() -> None:
    assert gate(scores(0.5), {"other": {"q0": 1.0}}) == ["groundedness is measured no more"]
    assert gate(scores(0.5, 0.6), scores(0.5)) == ["groundedness lacks the samples q1"]


@pytest.mark.parametrize("document", ["[]", '{"scores": {}}', '{"scores": {"a": {"q": "much"}}}', "no json"])
def test_a_wrong_file_is_refused(tmp_path: Path, document: str) -> None:
    file = tmp_path / "scores.json"
    file.write_text(document)
    with pytest.raises(TwinError, match=r"scores\.json"):
        read(file)
    file.write_text(json.dumps({"scores": scores(1.0)}))
    assert read(file) == scores(1.0)


def test_where_less_is_better_a_rise_is_a_loss() -> None:
    before, after = {"refusal": {"a": 0.0, "b": 0.1, "c": 0.5}}, {"refusal": {"a": 0.9, "b": 0.4, "c": 0.6}}
    (found,) = compare(before, after, {"refusal"})
    assert found.regressed and found.low > 0
    assert [sample for sample, _, _ in found.worse] == ["a", "b", "c"]
    (better,) = compare(after, before, {"refusal"})
    assert not better.regressed and better.worse == ()
