"""Refusals of `twin ci`, and the small parts behind it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.program import TWIN
from twin.ci.stack_diff import ResourceChange, parse
from twin.target.errors import TwinError
from twin.target.github_job import set_output

ROOT = Path(__file__).resolve().parents[4]


def twin(state_root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_"))}
    env = {**kept, "TWIN_STATE_ROOT": str(state_root), "AWS_EC2_METADATA_DISABLED": "true", **variables}
    command = [TWIN, "ci", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("teardown", "--stage", "prod", "--confirm", "dev"), "is not the stage's name 'prod': nothing is deleted"),
        (("deploy", "--commit", "main", "--digest", "sha256:12", "--stage", "dev"), "not a full commit hash"),
        (("watch-alarms",), "make local-start"),
        (("gate", "--base", "none", "--head", "none"), "none is missing"),
        (("release", "--tag", "v99.0.0"), "says nothing about 99.0.0"),
        (("preview-comment", "--commit", "abc"), "GITHUB_REPOSITORY and GITHUB_TOKEN must be set"),
    ],
)
def test_a_refusal_is_a_sentence_and_exit_code_1(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = twin(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_gate_names_metric_and_samples_in_the_summary(tmp_path: Path) -> None:
    base, head, summary = (tmp_path / name for name in ("base.json", "head.json", "summary.md"))
    base.write_text('{"scores": {"recall": {"first": 1, "second": 1}}}')
    head.write_text('{"scores": {"recall": {"first": 0.5, "second": 0.5}}}')
    options = ("--base", str(base), "--head", str(head))
    done = twin(tmp_path, "gate", *options, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    for text in (done.stderr, summary.read_text()):
        assert "recall fell from 1.000 to 0.500" in text
        assert "second (1.00 -> 0.50)" in text
    base.unlink()
    first = twin(tmp_path, "gate", *options, GITHUB_STEP_SUMMARY=str(summary))
    assert first.returncode == 0
    assert "nothing to compare with" in summary.read_text()


def test_an_output_cannot_contain_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    set_output("url", "https://example.com")
    with pytest.raises(TwinError, match="several lines"):
        set_output("url", "x\ndigest=sha256:bad")
    assert output.read_text() == "url=https://example.com\n"


def test_cdk_diff_lines_of_resources_are_parsed() -> None:
    said = "\n".join(
        (
            "Stack twin-dev-llm",
            "[~] AWS::SageMaker::EndpointConfig Llm/Config LlmConfig747 replace",
            " └─ [~] ProductionVariants (requires replacement)",
            "[~] AWS::EC2::Instance Box Box1 may be replaced",
            "[-] AWS::SQS::Queue Old Old1 destroy",
            "[-] AWS::S3::Bucket Kept Kept1 orphan",
            "[+] AWS::SNS::Topic New New1",
            "[~] Parameter NotAResource",
        )
    )
    found = list(parse(said))
    assert [change.what for change in found] == ["replaced", "may be replaced", "removed", "left behind", "added"]
    assert found[0] == ResourceChange("AWS::SageMaker::EndpointConfig", "Llm/Config LlmConfig747", "replaced")
    assert [change.replaces for change in found] == [True, True, False, False, False]
