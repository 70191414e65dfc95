"""The workflows, offline: pinned, least permissions, no untrusted checkout, and no logic of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from infra.constructs.delivery.trust import ENVIRONMENTS
from twin.ci import inspection
from twin.ci.cli import app
from twin.target.errors import TwinError

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
EVERY_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40}")
MAKE = re.compile(r"make (?:-C base )?(?P<target>[a-z-]+)(?: [A-Z]+=[\w./-]+)*")
BAD_WORKFLOW = """on: pull_request_target
jobs:
  greet:
    runs-on: ubuntu-9
    steps:
      - run: echo ${{ github.event.pull_request.title }}
"""
WRITES = {
    "preview": {"id-token", "pull-requests"},
    "deploy": {"id-token"},
    "teardown": {"id-token"},
    "evaluate": {"id-token"},
    "release": {"id-token", "contents", "attestations", "packages"},
    "ci": set(),
}


def workflow(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    assert isinstance(found, dict)
    return found


def triggers(file: Path) -> dict[str, Any]:
    """What `on` says; YAML 1.1 reads the word as true."""
    found = workflow(file)[True]
    assert isinstance(found, dict)
    return found


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(file)["jobs"].values() for step in job["steps"]]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_six_workflows_are_there() -> None:
    assert {file.stem for file in FILES} == set(WRITES)


@EVERY_FILE
def test_actions_are_pinned_by_a_full_hash_with_their_version(file: Path) -> None:
    for step in steps(file):
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"]), step["uses"]
    for line in file.read_text().splitlines():
        if "uses:" in line:
            assert re.search(r"# v\d+\.\d+\.\d+$", line), line


def test_one_action_has_one_version_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for file in FILES:
        for step in steps(file):
            if "uses" in step:
                name, _, version = step["uses"].partition("@")
                pins.setdefault("/".join(name.split("/")[:2]), set()).add(version)
    assert pins
    assert all(len(versions) == 1 for versions in pins.values()), pins


@EVERY_FILE
def test_permissions_are_none_but_what_a_job_names(file: Path) -> None:
    found = workflow(file)
    assert found["permissions"] == {}
    writes = set()
    for name, job in found["jobs"].items():
        assert job["permissions"], name
        writes |= {scope for scope, level in job["permissions"].items() if level == "write"}
    assert writes == WRITES[file.stem]


@EVERY_FILE
def test_no_secret_and_no_untrusted_trigger(file: Path) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(file))
    text = file.read_text()
    assert "secrets." not in text
    assert "aws-access-key-id" not in text


@EVERY_FILE
def test_a_checkout_leaves_no_token_behind(file: Path) -> None:
    found = [step for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]
    assert found
    assert all(step["with"]["persist-credentials"] is False for step in found)


@EVERY_FILE
def test_jobs_end_and_do_not_run_into_each_other(file: Path) -> None:
    found = workflow(file)
    assert found["concurrency"]["group"]
    for job in found["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 120
        assert job["runs-on"] != "ubuntu-latest"
    if file.stem != "ci":
        assert found["concurrency"]["cancel-in-progress"] is False


@EVERY_FILE
def test_a_step_is_one_make_target_that_exists(file: Path) -> None:
    targets = make_targets()
    lines = [step["run"] for step in steps(file) if "run" in step]
    assert lines
    for line in lines:
        found = MAKE.fullmatch(line)
        assert found, f"logic belongs into twin: {line}"
        assert found["target"] in targets, line


def test_every_twin_ci_command_has_a_target_and_every_target_a_command() -> None:
    used = set(re.findall(r"\$\(TWIN\) ci ([a-z-]+)", (ROOT / "Makefile").read_text()))
    assert used == set(typer.main.get_group(app).commands)


def test_actionlint_and_zizmor_find_nothing_here_and_something_in_a_bad_workflow(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inspection.workflows()
    assert "All workflow files passed lint checks" in capfd.readouterr().out
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text(BAD_WORKFLOW)
    with pytest.raises(TwinError, match="actionlint and zizmor found something"):
        inspection.workflows(folder)
    told = "".join(capfd.readouterr())
    assert 'label "ubuntu-9" is unknown' in told and "template-injection" in told


@pytest.mark.parametrize("target", sorted(target for target in make_targets() if target.startswith("ci-")))
def test_a_target_expands_to_commands(target: str) -> None:
    command = ["make", "--dry-run", target, "STAGE=dev", "OUT=out", "BASE=a", "HEAD=b"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"bin/twin |-m pytest |gh release", done.stdout)


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_only_a_workflow_with_a_role_gets_credentials_in_its_environment(name: str) -> None:
    (file,) = [file for file in FILES if file.stem == name]
    for job in workflow(file)["jobs"].values():
        assert job["environment"] in ENVIRONMENTS[name]  # type: ignore[index]
        (login,) = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert login["with"]["role-to-assume"] == f"${{{{ vars.AWS_{name.upper()}_ROLE }}}}"


def test_a_preview_is_deployed_for_the_own_repository_and_a_label_only() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    for job in workflow(file)["jobs"].values():
        assert "head.repo.full_name == github.repository" in job["if"]
        assert "'preview'" in job["if"]
    assert "closed" in triggers(file)["pull_request"]["types"]


def test_the_local_measurements_come_before_the_login() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    names = [step.get("run") or step["uses"] for step in workflow(file)["jobs"]["preview"]["steps"]]
    login = next(i for i, name in enumerate(names) if "configure-aws-credentials" in name)
    assert max(i for i, name in enumerate(names) if "local" in name or "base" in name) < login


def test_every_pull_request_is_checked_for_all_that_is_promised() -> None:
    (file,) = [file for file in FILES if file.stem == "ci"]
    targets = {step["run"].split()[1] for step in steps(file) if "run" in step}
    assert targets >= {"check", "ci-workflows", "ci-test", "ci-licences", "ci-secrets", "ci-audit", "ci-templates"}
    assert targets >= {"ci-dockerfile", "ci-image-build", "ci-sbom"}
    (scan,) = [step for step in steps(file) if step.get("uses", "").startswith("anchore/scan-action@")]
    assert scan["with"]["severity-cutoff"] == "high"


def test_dependabot_watches_actions_the_image_and_both_lock_formats_in_groups() -> None:
    found = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in found["updates"]} == {"github-actions", "npm", "pip", "docker"}
    for each in found["updates"]:
        assert each["cooldown"]["default-days"] >= 7
        assert [group["patterns"] for group in each["groups"].values()] == [["*"]]
    (docker,) = [each for each in found["updates"] if each["package-ecosystem"] == "docker"]
    assert (ROOT / docker["directory"].strip("/") / "Dockerfile").is_file()


def test_who_builds_a_release_cannot_publish_it_and_all_that_is_published_is_attested() -> None:
    (file,) = [file for file in FILES if file.stem == "release"]
    build, publish = (workflow(file)["jobs"][name] for name in ("build", "publish"))
    assert build["permissions"]["contents"] == "read"
    assert publish["permissions"] == {"contents": "write"}
    files, image = [step["with"] for step in build["steps"] if "attest-build" in step.get("uses", "")]
    assert (image["subject-digest"], image["push-to-registry"]) == ("${{ steps.image.outputs.digest }}", True)
    (published,) = re.findall(r"gh release create .*", (ROOT / "Makefile").read_text())
    attached = {word for word in published.split() if word.startswith("dist/")} - {"dist/notes.md"}
    assert attached == set(files["subject-path"].split())
