"""Reading cloud assemblies, whole and broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin.cost import assembly
from twin.cost.assembly import refers_to, short_names
from twin.target.errors import TwinError

WriteAssembly = Callable[..., Path]
Make = Callable[..., dict[str, Any]]


def test_resources_carry_their_stack_and_region(write_assembly: WriteAssembly, make: Make) -> None:
    folder = write_assembly({"twin-x-a": {"Key": make("KMS::Key")}, "twin-x-b": {"Vpc": make("EC2::VPC")}}, "eu-west-1")
    found = assembly.read(folder)
    assert [(each.stack, each.logical_id, each.kind, each.region) for each in found.resources] == [
        ("twin-x-a", "Key", "AWS::KMS::Key", "eu-west-1"),
        ("twin-x-b", "Vpc", "AWS::EC2::VPC", "eu-west-1"),
    ]


def test_a_stack_without_a_region_is_taken_for_us_east_1(write_assembly: WriteAssembly, make: Make) -> None:
    found = assembly.read(write_assembly({"twin-x-a": {"Key": make("KMS::Key")}}, "unknown-region"))
    assert found.resources[0].region == "us-east-1"


def test_the_stack_name_of_the_manifest_counts(write_assembly: WriteAssembly, make: Make) -> None:
    folder = write_assembly({"a": {"Key": make("KMS::Key")}})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["artifacts"]["a"]["properties"]["stackName"] = "other-name"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert assembly.read(folder).stacks == ("other-name",)


def test_a_folder_without_a_manifest_is_no_assembly(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match=r"is no cloud assembly: manifest\.json is missing"):
        assembly.read(tmp_path)


def test_a_missing_template_is_named(write_assembly: WriteAssembly, make: Make) -> None:
    folder = write_assembly({"a": {"Key": make("KMS::Key")}})
    (folder / "a.template.json").unlink()
    with pytest.raises(TwinError, match=r"a\.template\.json is missing"):
        assembly.read(folder)


@pytest.mark.parametrize("content", ["{", "{}", '{"Resources": {"A": {}}}', '{"Resources": []}', "[]"])
def test_a_broken_template_is_one_sentence(write_assembly: WriteAssembly, make: Make, content: str) -> None:
    folder = write_assembly({"a": {"Key": make("KMS::Key")}})
    (folder / "a.template.json").write_text(content)
    with pytest.raises(TwinError, match="is not readable"):
        assembly.read(folder)


def test_an_assembly_without_resources_is_refused(write_assembly: WriteAssembly) -> None:
    with pytest.raises(TwinError, match="holds no stack"):
        assembly.read(write_assembly({}))


@pytest.mark.parametrize(
    ("value", "refers"),
    [
        ({"Ref": "It"}, True),
        ({"Fn::GetAtt": ["It", "Arn"]}, True),
        ({"Fn::Join": ["", ["a", {"Ref": "It"}]]}, True),
        ([{"deep": [{"Fn::GetAtt": ["It", "Name"]}]}], True),
        ({"Ref": "Item"}, False),
        ("It", False),
        (None, False),
    ],
)
def test_references_are_found_at_any_depth(value: object, refers: bool) -> None:
    assert refers_to(value, "It") is refers


def test_short_names_keep_what_tells_stacks_apart() -> None:
    assert short_names(["twin-dev-llm", "twin-dev-llm-weights"]) == {
        "twin-dev-llm": "llm",
        "twin-dev-llm-weights": "llm-weights",
    }
    assert short_names(["twin-dev-llm"]) == {"twin-dev-llm": "llm"}
    assert short_names([]) == {}
