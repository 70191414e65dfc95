"""The price difference between two assemblies, for a pull request."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from twin.cost import assembly, report
from twin.cost.load import FULL, IDLE, NAMES
from twin.cost.stage_cost import compare

WriteAssembly = Callable[..., Path]
Make = Callable[..., dict[str, Any]]


def test_new_gone_and_changed_charges(write_assembly: WriteAssembly, make: Make) -> None:
    base = write_assembly(
        {"twin-main-network": {"Nat": make("EC2::NatGateway"), "Key": make("KMS::Key"), "Gone": make("EC2::EIP")}}
    )
    head = write_assembly(
        {"twin-pr-7-network": {"Nat": make("EC2::NatGateway"), "Key": make("KMS::Key"), "Key2": make("KMS::Key")}}
    )
    found = compare(base, assembly.read(head))
    assert [(change.stack, change.kind) for change in found.changes] == [
        ("network", "AWS::EC2::EIP"),
        ("network", "AWS::KMS::Key"),
    ]
    assert found.delta(IDLE) == 1 - Decimal("0.005") * 730


def test_a_replaced_resource_of_the_same_price_is_no_change(write_assembly: WriteAssembly, make: Make) -> None:
    base = write_assembly({"a-x": {"Key1": make("KMS::Key")}})
    head = write_assembly({"a-x": {"Key2": make("KMS::Key")}})
    found = compare(base, assembly.read(head))
    assert found.changes == ()
    assert all(found.delta(load) == 0 for load in NAMES)


def test_the_markdown_is_tables_that_github_renders(write_assembly: WriteAssembly, make: Make) -> None:
    scaling = {"MinInstanceCount": 0, "MaxInstanceCount": 1}

    def config(kind: str) -> dict[str, Any]:
        variant = {"InstanceType": kind, "ManagedInstanceScaling": scaling}
        return {"twin-dev-llm": {"Config": make("SageMaker::EndpointConfig", ProductionVariants=[variant])}}

    base, head = write_assembly(config("ml.g6.2xlarge")), write_assembly(config("ml.g6e.2xlarge"))
    found = compare(base, assembly.read(head))
    text = "\n\n".join(table.markdown() for table in report.diff_tables(found))
    assert "**Price difference, USD per month**\n\n|  | idle | office | full |\n| --- | ---: | ---: | ---: |" in text
    assert f"| difference | 0.00 | +{Decimal('204.765') * (Decimal('2.8026') - Decimal('1.222')):,.2f} |" in text
    assert "| llm | SageMaker::EndpointConfig | Instance ml.g6.2xlarge | 0.00 | -250.22 | -892.06 |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| llm")}
    assert widths == {7}


def test_what_is_unknown_in_the_new_assembly_is_part_of_the_comment(write_assembly: WriteAssembly, make: Make) -> None:
    base = write_assembly({"a-x": {"Key": make("KMS::Key")}})
    head = write_assembly({"a-x": {"Key": make("KMS::Key"), "Db": make("RDS::DBInstance")}})
    found = compare(base, assembly.read(head))
    assert "price unknown" in report.diff_tables(found)[-1].title
    document = report.diff_as_dict(found)
    assert document["difference"] == dict.fromkeys(NAMES, "0.000000")
    assert document["unknown"] == [
        {"stack": "a-x", "resource": "Db", "type": "AWS::RDS::DBInstance", "why": "no price is known for this type"}
    ]


def test_both_sides_share_the_assumptions(write_assembly: WriteAssembly, make: Make) -> None:
    queue = {"a-x": {"B": make("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")}}
    found = compare(write_assembly(queue), assembly.read(write_assembly(queue)), ["full_answers_per_hour=77777"])
    assert found.before.monthly(FULL) == found.after.monthly(FULL) > found.before.monthly(IDLE)
