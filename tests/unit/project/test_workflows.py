"""The workflows, offline: pinned, least permissions, no untrusted checkout, and no logic of their own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from infra.constructs.delivery.trust import APPROVAL, ENVIRONMENTS
from infra.stacks.delivery import LONGEST_JOB
from tests.e2e.github_actions import condition_is_met
from twin import app
from twin.ci.image import DOCKERFILE, PLATFORM
from twin.ci.release_files import LAYER, NOTES

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
EVERY_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
PINNED = re.compile(r"[\w-]+/[\w./-]+@[0-9a-f]{40}")
WORD = r"""(?:[\w./:,=*-]+|"\$[A-Z]+"|"[\w ?]+")"""
"""A plain word, a quoted variable of the job or a quoted sentence: nothing with which a shell could be steered."""
ONE_COMMAND = re.compile(rf"{WORD}(?: {WORD})*")
TWIN = ".venv/bin/twin"
PRE_COMMIT = ".venv/bin/pre-commit run --all-files"
TOOLS, CHECKOV = ".local/venvs/tools/bin", ".local/venvs/checkov/bin/checkov"
INSTALL_PROGRAMS = "scripts/install_test_programs.sh"
TESTS = ".ci/run"
"""Installs the programs that tests need, and runs `make test`."""
PROGRAMS = {
    "make",
    INSTALL_PROGRAMS,
    TESTS,
    TWIN,
    ".venv/bin/pre-commit",
    f"{TOOLS}/pip-audit",
    f"{TOOLS}/hadolint",
    f"{TOOLS}/cyclonedx-py",
    CHECKOV,
    "npm",
    "docker",
    "gh",
    "true",
}
MAKE = re.compile(r"make (?P<target>[a-z-]+)(?: ARGS=--[a-z]+)?")
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
    "attacks": set(),
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


def lines(file: Path) -> list[str]:
    """Command lines of a workflow, in their order."""
    return [step["run"] for step in steps(file) if "run" in step]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def twin_command(words: list[str]) -> tuple[list[str], typer.core.TyperCommand]:
    """The words after a command of `twin`, and the command.

    Raises:
        KeyError: there is no such command.
    """
    found: Any = typer.main.get_command(app.app)
    while hasattr(found, "commands"):
        found, words = found.commands[words[0]], words[1:]
    return words, found


def hooks() -> dict[str, str]:
    """Command line of each hook of pre-commit."""
    found = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    return {hook["id"]: hook["entry"] for repository in found["repos"] for hook in repository["hooks"]}


def run_hook(name: str, *more: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a hook's command in a folder, with the programs of this checkout."""
    program, *arguments = shlex.split(hooks()[name])
    arguments = [str(ROOT / word) if word.startswith("node_modules/") else word for word in arguments]
    command = [str(ROOT / program), *arguments, *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_workflows_are_there() -> None:
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
    for job in found["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 120
        assert job["runs-on"] != "ubuntu-latest"
        concurrency = found.get("concurrency") or job["concurrency"]
        assert concurrency["group"]
        if file.stem != "ci" and job.get("environment") != APPROVAL:
            assert concurrency["cancel-in-progress"] is False


def test_a_release_that_waits_for_approval_holds_up_no_stage() -> None:
    (file,) = [file for file in FILES if file.stem == "deploy"]
    assert "concurrency" not in workflow(file), "a run that waits would hold its group"
    groups = {name: job["concurrency"]["group"] for name, job in workflow(file)["jobs"].items()}
    assert groups == {
        "staging": "deploy-staging",
        "approval": "deploy-approval",
        "production": "deploy-production",
        "rollback": "deploy-production",
    }


@EVERY_FILE
def test_a_step_is_one_command_without_shell_logic_or_event_data(file: Path) -> None:
    assert lines(file)
    for line in lines(file):
        assert ONE_COMMAND.fullmatch(line), f"logic belongs into twin: {line}"
        program, *words = shlex.split(line)
        assert program in PROGRAMS, line
        if program == "make":
            target = MAKE.fullmatch(line)
            assert target and target["target"] in make_targets(), line
        elif program == TWIN:
            rest, command = twin_command(words)
            known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            assert {word for word in rest if word.startswith("-")} <= known, line


@EVERY_FILE
def test_no_step_chooses_a_shell_and_a_folder_is_a_checkout(file: Path) -> None:
    assert all("defaults" not in part for part in (workflow(file), *workflow(file)["jobs"].values()))
    assert all("shell" not in step for step in steps(file))
    assert {step["working-directory"] for step in steps(file) if "working-directory" in step} <= {"base"}


@EVERY_FILE
def test_what_a_step_runs_was_set_up_by_a_step_before(file: Path) -> None:
    for job in workflow(file)["jobs"].values():
        ran: list[str] = []
        for step in job["steps"]:
            line = step.get("run", "")
            if line.startswith(".venv/"):
                assert {"make setup", "make tools", "make evaluation-layer"} & set(ran), line
            if line.startswith(".local/venvs/"):
                assert "make tools" in ran, line
            if line.startswith((f"{TWIN} ci deploy", f"{TWIN} ci release ")):
                assert "make evaluation-layer" in ran, line
            if line.startswith(f"{TWIN} ask"):
                assert ran[-2:] == [f"{TWIN} ci deploy", f"{TWIN} ci ingest"], "the smoke test needs documents"
            if line:
                ran.append(line)


def test_every_twin_ci_command_is_used_by_a_workflow() -> None:
    used = {line.split()[2] for file in FILES for line in lines(file) if line.startswith(f"{TWIN} ci ")}
    (group,) = [each.typer_instance for each in app.app.registered_groups if each.name == "ci"]
    assert group is not None
    assert used == set(typer.main.get_group(group).commands)


def test_make_offers_few_targets_that_all_expand() -> None:
    targets = make_targets()
    assert len(targets) <= 21
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in targets:
        assert f"{target} " in listed, "a target has a line of help"
        command = ["make", "--dry-run", target, "STAGE=dev"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_actionlint_and_zizmor_find_nothing_here_and_something_in_a_bad_workflow(tmp_path: Path) -> None:
    for name in ("actionlint", "zizmor"):
        done = run_hook(name)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "All workflow files passed lint checks" in run_hook("actionlint").stdout
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text(BAD_WORKFLOW)
    for name, finding in (("actionlint", 'label "ubuntu-9" is unknown'), ("zizmor", "template-injection")):
        done = run_hook(name, folder=tmp_path)
        assert done.returncode != 0
        assert finding in done.stdout + done.stderr


def test_a_secret_is_named_without_its_text_unless_its_line_accepts_it(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    clean = run_hook("secrets", *files)
    assert clean.returncode == 0, clean.stdout
    key = "AKIA" + "IOSFODNN7EXAMPLE"
    found = tmp_path / "found.py"
    found.write_text(f'one = "{key}"\npassword = "opensesame"\n')
    done = run_hook("secrets", str(found))
    assert done.returncode == 1
    assert "AWS Access Key" in done.stdout and f"{found}:1" in done.stdout
    assert key not in done.stdout and f"{found}:2" not in done.stdout
    found.write_text(f'# pragma: allowlist nextline secret - made up\none = "{key}"\n')
    assert run_hook("secrets", str(found)).returncode == 0


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_only_a_workflow_with_a_role_gets_credentials_in_its_environment(name: str) -> None:
    (file,) = [file for file in FILES if file.stem == name]
    for job in workflow(file)["jobs"].values():
        if job["environment"] == APPROVAL:
            assert [step.get("run") for step in job["steps"]] == ["true"]
            continue
        assert job["environment"] in ENVIRONMENTS[name]  # type: ignore[index]
        (login,) = [step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", "")]
        assert login["with"]["role-to-assume"] == f"${{{{ vars.AWS_{name.upper()}_ROLE }}}}"


@EVERY_FILE
def test_credentials_live_as_long_as_their_job_may_run(file: Path) -> None:
    for job in workflow(file)["jobs"].values():
        seconds = job["timeout-minutes"] * 60
        for step in job["steps"]:
            if "configure-aws-credentials" in step.get("uses", ""):
                assert step["with"]["role-duration-seconds"] == seconds <= LONGEST_JOB.to_seconds()


@pytest.mark.parametrize(
    ("deployed", "accepted", "runs"),
    [
        # Staging failed, no approval was given, or the run was cancelled before the job began.
        ("", "", False),
        ("skipped", "skipped", False),
        ("success", "success", False),
        ("failure", "skipped", True),
        ("cancelled", "skipped", True),
        ("success", "skipped", True),
        ("success", "failure", True),
        ("success", "cancelled", True),
    ],
)
def test_a_deployment_that_began_and_was_not_accepted_is_rolled_back_whatever_ended_it(
    deployed: str, accepted: str, runs: bool
) -> None:
    (file,) = [file for file in FILES if file.stem == "deploy"]
    production, rollback = (workflow(file)["jobs"][name] for name in ("production", "rollback"))
    assert rollback["if"].split()[0] == "always()", "a cancel ends every other job"
    assert {rollback["needs"], "approval"} == {"production", *production["needs"]} - {"staging"}
    by_id = {step["id"]: step["run"] for step in production["steps"] if "id" in step}
    assert by_id == {"deploy": f"{TWIN} ci deploy", "accept": f"{TWIN} ci remember"}
    outputs = production["outputs"]
    assert outputs == {"deployed": "${{ steps.deploy.outcome }}", "accepted": "${{ steps.accept.outcome }}"}
    needs = {"production": {"outputs": {"deployed": deployed, "accepted": accepted}}}
    assert condition_is_met(rollback["if"], {"needs": needs}) is runs


def test_a_preview_is_deployed_for_the_own_repository_and_a_label_only() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    for job in workflow(file)["jobs"].values():
        assert "head.repo.full_name == github.repository" in job["if"]
        assert "'preview'" in job["if"]
    assert "closed" in triggers(file)["pull_request"]["types"]


@pytest.mark.parametrize(
    ("action", "state", "label", "labels", "deploys", "deletes"),
    [
        ("labeled", "open", "preview", ["preview"], True, False),
        ("labeled", "open", "bug", ["bug", "preview"], False, False),
        # What a bot does to merged pull requests.
        ("labeled", "closed", "released", ["preview", "released"], False, False),
        ("labeled", "closed", "preview", ["preview"], False, False),
        ("synchronize", "open", "", ["preview"], True, False),
        ("synchronize", "open", "", ["bug"], False, False),
        ("reopened", "open", "", ["preview"], True, False),
        ("closed", "closed", "", ["preview"], False, True),
        ("closed", "closed", "", [], False, False),
        ("unlabeled", "open", "preview", [], False, True),
        ("unlabeled", "open", "bug", ["preview"], False, False),
    ],
)
def test_a_preview_is_deployed_while_its_pull_request_is_open_and_deleted_once(
    action: str, state: str, label: str, labels: list[str], deploys: bool, deletes: bool
) -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    head = {"repo": {"full_name": "octo-lab/llm-twin"}}
    request = {"state": state, "labels": [{"name": name} for name in labels], "head": head}
    event = {"action": action, "label": {"name": label}, "pull_request": request}
    contexts = {"github": {"event": event, "repository": "octo-lab/llm-twin"}}
    ran = {name for name, job in workflow(file)["jobs"].items() if condition_is_met(job["if"], contexts)}
    assert ran == {name for name, runs in (("preview", deploys), ("delete", deletes)) if runs}


def test_a_run_without_a_job_takes_no_place_in_the_queue_of_a_preview() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    assert "concurrency" not in workflow(file)
    (group,) = {job["concurrency"]["group"] for job in workflow(file)["jobs"].values()}
    assert group == "preview-${{ github.event.pull_request.number }}"


@EVERY_FILE
def test_an_image_is_tagged_with_the_commit_that_is_checked_out(file: Path) -> None:
    found = workflow(file)
    for job in found["jobs"].values():
        for step in job["steps"]:
            if step.get("run", "").startswith((f"{TWIN} ci image", f"{TWIN} ci deploy", f"{TWIN} ci remember")):
                named = {**found.get("env", {}), **job.get("env", {}), **step.get("env", {})}
                assert not {"COMMIT", "GITHUB_SHA"} & set(named), "GITHUB_SHA is the commit of the checkout"
                checkout = job["steps"][0]
                assert checkout["uses"].startswith("actions/checkout@") and "ref" not in checkout["with"]


def test_a_preview_asks_the_doctor_before_it_deploys() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    found = workflow(file)["jobs"]["preview"]["steps"]
    ran = [step.get("run") for step in found]
    place = ran.index(f"{TWIN} doctor --online")
    assert ran[place - 1] == f"{TWIN} ci image", "the doctor looks for the release's image"
    assert place < ran.index(f"{TWIN} ci deploy")
    assert found[place]["env"] == {"TWIN_RELEASE": "${{ github.sha }}"}


def test_the_local_measurements_come_before_the_login() -> None:
    (file,) = [file for file in FILES if file.stem == "preview"]
    found = workflow(file)["jobs"]["preview"]["steps"]
    names = [f"{step.get('run') or step['uses']} {step.get('working-directory', '')}" for step in found]
    login = next(i for i, name in enumerate(names) if "configure-aws-credentials" in name)
    measured = [i for i, name in enumerate(names) if re.search(r"\blocal\b|local-|base", name)]
    assert len(measured) >= 8
    assert max(measured) < login


def test_every_pull_request_is_checked_for_all_that_is_promised() -> None:
    (file,) = [file for file in FILES if file.stem == "ci"]
    assert {PRE_COMMIT, TESTS, f"{TWIN} ci licences", "npm audit --audit-level=moderate"} <= set(lines(file))
    assert f"{TOOLS}/hadolint {DOCKERFILE.relative_to(ROOT)}" in lines(file)
    assert "exec make test" in (ROOT / TESTS).read_text()
    (test,) = [step for step in steps(file) if step.get("run") == TESTS]
    assert "--cov " in test["env"]["ARGS"] and "$(GITHUB_STEP_SUMMARY)" in test["env"]["ARGS"]
    (build,) = [line for line in lines(file) if line.startswith("docker build ")]
    assert f"--platform {PLATFORM} --file {DOCKERFILE.relative_to(ROOT)} " in build
    (scan,) = [step for step in steps(file) if step.get("uses", "").startswith("anchore/scan-action@")]
    assert scan["with"]["severity-cutoff"] == "high"
    assert f"--tag {scan['with']['image']} " in build


def test_pre_commit_runs_what_make_check_runs_and_looks_at_workflows_and_secrets() -> None:
    assert set(hooks()) == {"format", "lint", "types", "imports", "actionlint", "zizmor", "secrets"}
    # This may itself run under make, whose variables would have it print what folder it enters and leaves.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", "check"]
    recipe = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    by_make = {command.strip().removesuffix(" .") for command in recipe.splitlines()[-1].split("&&")}
    assert by_make == {
        hooks()["format"],
        hooks()["lint"],
        hooks()["types"],
        hooks()["imports"],
    }


def test_every_lock_is_audited() -> None:
    (file,) = [file for file in FILES if file.stem == "ci"]
    (audit,) = [line for line in lines(file) if line.startswith(f"{TOOLS}/pip-audit ")]
    assert "--strict --require-hashes --disable-pip " in audit
    locks = {str(lock.relative_to(ROOT)) for lock in (ROOT / "requirements").glob("*.txt")}
    assert set(re.findall(r"--requirement (\S+)", audit)) == locks


def test_checkov_reads_the_templates_that_the_step_before_wrote() -> None:
    (file,) = [file for file in FILES if file.stem == "ci"]
    ran = lines(file)
    for stage in ("dev", "prod"):
        line = f"{CHECKOV} --config-file infra/checkov.yaml --directory {stage}.out"
        assert ran[ran.index(line) - 1] == f"{TWIN} ci assembly --stage {stage} --out {stage}.out"
    accepted = yaml.safe_load((ROOT / "infra" / "checkov.yaml").read_text())
    assert accepted["framework"] == ["cloudformation"]


def test_dependabot_watches_actions_the_image_and_both_lock_formats_in_groups() -> None:
    found = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in found["updates"]} == {"github-actions", "npm", "pip", "docker"}
    for each in found["updates"]:
        assert each["cooldown"]["default-days"] >= 7
        assert [group["patterns"] for group in each["groups"].values()] == [["*"]]
    (pip,) = [each for each in found["updates"] if each["package-ecosystem"] == "pip"]
    folders = [ROOT / folder.strip("/") for folder in pip["directories"]]
    assert {file.parent for file in (*ROOT.glob("pyproject.toml"), *ROOT.glob("requirements/*.txt"))} == set(folders)
    (docker,) = [each for each in found["updates"] if each["package-ecosystem"] == "docker"]
    assert (ROOT / docker["directory"].strip("/") / "Dockerfile").is_file()


def test_the_job_that_builds_a_release_cannot_publish_it_and_all_that_is_published_is_attested() -> None:
    (file,) = [file for file in FILES if file.stem == "release"]
    build, publish = (workflow(file)["jobs"][name] for name in ("build", "publish"))
    assert build["permissions"]["contents"] == "read"
    assert publish["permissions"] == {"contents": "write"}
    files, image = [step["with"] for step in build["steps"] if "attest-build" in step.get("uses", "")]
    assert (image["subject-digest"], image["push-to-registry"]) == ("${{ steps.image.outputs.digest }}", True)
    (published,) = [step["run"] for step in publish["steps"] if "run" in step]
    assert published.startswith(f'gh release create "$TAG" --verify-tag --notes-file dist/{NOTES} ')
    attached = {word for word in published.split() if word.startswith("dist/")} - {f"dist/{NOTES}"}
    assert attached == set(files["subject-path"].split())
    assert LAYER.endswith(".zip")
