"""Small cloud assemblies, written as the CDK writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from twin.cost import assembly, prices
from twin.cost.assumptions import parse
from twin.cost.estimate import Estimate, estimate

Stacks = Mapping[str, Mapping[str, Any]]
WriteAssembly = Callable[..., Path]
Priced = Callable[..., Estimate]


@pytest.fixture
def write_assembly(tmp_path: Path) -> WriteAssembly:
    """Write stacks of resources (`{stack: {logical id: {Type, Properties}}}`) as a cloud assembly."""
    written = 0

    def write(stacks: Stacks, region: str = "us-east-1") -> Path:
        nonlocal written
        written += 1
        folder = tmp_path / f"cdk-{written}.out"
        folder.mkdir()
        artifacts: dict[str, Any] = {"Tree": {"type": "cdk:tree", "properties": {"file": "tree.json"}}}
        for name, resources in stacks.items():
            file = f"{name}.template.json"
            artifacts[name] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://unknown-account/{region}",
                "properties": {"templateFile": file},
            }
            (folder / file).write_text(json.dumps({"Resources": resources}))
        (folder / "manifest.json").write_text(json.dumps({"version": "48.0.0", "artifacts": artifacts}))
        return folder

    return write


@pytest.fixture
def priced(write_assembly: WriteAssembly) -> Priced:
    """Price the resources of one stack with the shipped table."""

    def price(resources: Mapping[str, Any], *assumed: str, region: str = "us-east-1") -> Estimate:
        folder = write_assembly({"twin-test-one": resources}, region)
        return estimate(assembly.read(folder), prices.read(prices.SHIPPED), parse(assumed))

    return price


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    """A resource as a template holds it."""
    return {"Type": f"AWS::{kind}", "Properties": properties}


@pytest.fixture
def make() -> Callable[..., dict[str, Any]]:
    return resource
