"""Runs a job of a workflow file as GitHub does, as far as the files of this project go.

Expressions are paths, `contains`, `==`, `!=`, `!`, `&&`, `||` and functions of a job's state. See "Workflow syntax",
"Contexts", "Variables" and "Workflow commands" in GitHub's documentation.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

INTERPOLATED = re.compile(r"\$\{\{ *([\w.*-]+) *\}\}")
TOKEN = re.compile(r"'[^']*'|[A-Za-z_][\w.*-]*(?=\()|[A-Za-z_][\w.*-]*|&&|\|\||!=|==|[!(),]")
OPERATORS = {"&&": " and ", "||": " or ", "!": " not "}
FUNCTIONS = ("always", "cancelled", "failure", "success")
LOG_IN = "aws-actions/configure-aws-credentials"
SECONDS = 240


@dataclass
class Step:
    """Outcome of one step: `success`, `failure` or `skipped`."""

    outcome: str
    output: str = ""


@dataclass
class Runner:
    """A machine of GitHub's: a work tree, and the environment of its steps.

    Attributes:
        workspace: where `actions/checkout` puts the repository.
        variables: the runner's environment.
        contexts: `github`, `vars`, `needs`, `inputs`.
        elsewhere: by the step's line or action: why it is not run here, or a replacement that is called.
        stages: replacements of the environment's STAGE.
        log_in: what `configure-aws-credentials` does: from its inputs and the job's environment to variables of the
            steps that follow.
    """

    workspace: Path
    variables: Mapping[str, str]
    contexts: Mapping[str, Any]
    elsewhere: Mapping[str, str | Callable[[], None]]
    stages: Mapping[str, str] = field(default_factory=dict)
    log_in: Callable[[Mapping[str, str], str], Mapping[str, str]] | None = None

    def run(self, workflow: Path, job: str) -> Job:
        """Run a job's steps in their order; a job whose condition is not met has none."""
        return Job(self, yaml.safe_load(workflow.read_text(encoding="utf-8")), job)


class Job:
    """A job that has run.

    Attributes:
        steps: by line or action; a step that occurs twice has its last outcome.
        summary: text that the steps put on the page of the run.
    """

    def __init__(self, runner: Runner, workflow: Mapping[str, Any], name: str) -> None:
        self._runner = runner
        self._workflow = workflow
        self._job = workflow["jobs"][name]
        self._failed = False
        self._by_id: dict[str, dict[str, Any]] = {}
        self._exported: dict[str, str] = {}
        self._files = {kind: runner.workspace.parent / f"{kind.lower()}-{name}" for kind in ("OUTPUT", "SUMMARY")}
        self.steps: dict[str, Step] = {}
        for file in self._files.values():
            file.write_text("", encoding="utf-8")
        if self._is_met(self._job.get("if", "always()")):
            for step in self._job["steps"]:
                self._step(step)
        self.summary = self._files["SUMMARY"].read_text(encoding="utf-8")

    @property
    def succeeded(self) -> bool:
        """Whether the job ran and no step failed."""
        return bool(self.steps) and not self._failed

    def outputs(self) -> dict[str, str]:
        """Outputs of the job for those that need it."""
        return {name: self._interpolated(value) for name, value in self._job.get("outputs", {}).items()}

    def _step(self, step: Mapping[str, Any]) -> None:
        name = step.get("run") or step["uses"].partition("@")[0]
        known = {"outcome": "skipped", "outputs": {}}
        if self._is_met(step.get("if", "success()")):
            self._files["OUTPUT"].write_text("", encoding="utf-8")
            done = self._act(name, step)
            self.steps[name] = done
            lines = self._files["OUTPUT"].read_text(encoding="utf-8").splitlines()
            known = {"outcome": done.outcome, "outputs": dict(line.split("=", 1) for line in lines)}
            self._failed |= done.outcome == "failure" and not step.get("continue-on-error")
        else:
            self.steps[name] = Step("skipped")
        if "id" in step:
            self._by_id[step["id"]] = known

    def _act(self, name: str, step: Mapping[str, Any]) -> Step:
        if name == LOG_IN and self._runner.log_in is not None:
            given = {key: self._interpolated(str(value)) for key, value in step["with"].items()}
            self._exported |= self._runner.log_in(given, self._job["environment"])
            return Step("success")
        replacement = self._runner.elsewhere.get(name)
        if replacement is not None:
            if callable(replacement):
                replacement()
            return Step("success")
        assert "run" in step, f"nothing is known of the action {name}"
        done = subprocess.run(
            shlex.split(self._interpolated(name)),
            cwd=self._runner.workspace / step.get("working-directory", ""),
            env=self._environment(step),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Step("success" if done.returncode == 0 else "failure", done.stdout)

    def _environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        named = {
            name: self._interpolated(str(value))
            for level in (self._workflow, self._job, step)
            for name, value in level.get("env", {}).items()
        }
        if "STAGE" in named:
            named["STAGE"] = self._runner.stages.get(named["STAGE"], named["STAGE"])
        files = {"GITHUB_OUTPUT": str(self._files["OUTPUT"]), "GITHUB_STEP_SUMMARY": str(self._files["SUMMARY"])}
        known = {**self._runner.variables, **self._exported}
        return {**known, "GITHUB_WORKSPACE": str(self._runner.workspace), **files, **named}

    def _interpolated(self, text: str) -> str:
        return INTERPOLATED.sub(lambda found: str(self._lookup(found[1])), text)

    def _lookup(self, path: str) -> Any:
        return _looked_up(path, {**self._runner.contexts, "steps": self._by_id})

    def _is_met(self, condition: str) -> bool:
        return condition_is_met(condition, {**self._runner.contexts, "steps": self._by_id}, failed=self._failed)


def condition_is_met(condition: str, contexts: Mapping[str, Any], *, failed: bool = False) -> bool:
    """Whether the condition of a job or a step holds; `failed`: a step before it has failed."""
    state = {"always": True, "cancelled": False, "failure": failed, "success": not failed}
    words = TOKEN.findall(condition)
    assert "".join(words) == "".join(condition.split()), condition
    # Without a function of the job's state a condition holds only while no step has failed.
    if not set(words) & set(FUNCTIONS):
        words = ["success", "(", ")", "&&", "(", *words, ")"]
    python = [_python(word, words[place + 1 : place + 2]) for place, word in enumerate(words)]
    functions = {name: lambda name=name: state[name] for name in FUNCTIONS}
    names = {
        **functions,
        "contains": lambda values, wanted: wanted in values,
        "look": lambda path: _looked_up(path, contexts),
    }
    return bool(eval("".join(python), {"__builtins__": {}, **names}))


def _looked_up(path: str, contexts: Mapping[str, Any]) -> Any:
    value: Any = contexts
    for part in path.split("."):
        if part == "*":
            continue
        if isinstance(value, list):
            value = [each[part] for each in value]
        else:
            value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


def _python(word: str, following: list[str]) -> str:
    if word in OPERATORS:
        return OPERATORS[word]
    if word[0].isalpha() and following != ["("]:
        return f"look({word!r})"
    return word


def variables(workspace: Path, *, event_name: str, event: Mapping[str, Any], **more: str) -> dict[str, str]:
    """The environment of a step as GitHub documents it, over what this machine needs to run Python and make."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "GITHUB_", "TWIN_", "CDK_", "LOCALCLOUD_")) and name not in ("STAGE", "ARGS")
    }
    file = workspace.parent / f"event-{event_name}.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(file),
        **more,
    }
