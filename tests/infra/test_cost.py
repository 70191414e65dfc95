"""The price of the real templates: the lowest-cost stage stays below two dollars a day without questions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from twin.cost import assembly, prices
from twin.cost.assumptions import parse
from twin.cost.estimate import Estimate, estimate
from twin.cost.load import FULL, IDLE, OFFICE
from twin.cost.outside import external_services

from .conftest import Synthesize

AWAKE = 195 + Decimal("21.7") * 27 / 60
"""Office hours, and the minutes of each working day until the instance is gone."""
IDLE_DAY_LIMIT = Decimal(2)


def priced(folder: Path) -> Estimate:
    return estimate(assembly.read(folder), prices.read(prices.SHIPPED), parse(()))


@pytest.fixture(scope="session")
def estimates(assemblies: dict[str, Path]) -> dict[str, Estimate]:
    return {stage: priced(folder) for stage, folder in assemblies.items()}


def kinds(found: Estimate) -> set[str]:
    """Types that are in the sums."""
    return {line.resource.kind.removeprefix("AWS::") for line in found.lines}


def unknown(found: Estimate) -> list[str]:
    """What a stage may pay beside its sums, in short."""
    return [remark.why.partition(":")[0] for remark in found.unknown]


def test_an_idle_day_of_dev_costs_less_than_two_dollars_all_in(estimates: dict[str, Estimate]) -> None:
    dev = estimates["dev"]
    # A sleeping model sends no metrics.
    assert unknown(dev) == ["detailed observability"]
    assert Decimal("0.50") < dev.daily(IDLE) < IDLE_DAY_LIMIT
    assert {
        "CloudWatch::Alarm",
        "ECS::Service",
        "ElasticLoadBalancingV2::LoadBalancer",
        "KMS::Key",
        "Logs::LogGroup",
        "SageMaker::EndpointConfig",
        "SecretsManager::Secret",
    } <= kinds(dev)
    assert any("IPv4" in line.what for line in dev.lines)


def test_dev_has_no_nat_and_no_gpu_that_is_awake_when_idle(estimates: dict[str, Estimate]) -> None:
    dev = estimates["dev"]
    assert "EC2::NatGateway" not in kinds(dev)
    (gpu,) = [line for line in dev.lines if line.what.startswith("Instance ml.")]
    assert gpu.monthly[IDLE] == 0
    assert gpu.monthly[OFFICE] == AWAKE * gpu.price.usd


def test_the_vector_store_of_dev_is_billed_elsewhere(assemblies: dict[str, Path]) -> None:
    assert "qdrant.example.com" in external_services(assembly.read(assemblies["dev"]))


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_every_resource_of_a_stage_is_priced_free_or_listed(
    estimates: dict[str, Estimate], assemblies: dict[str, Path], stage: str
) -> None:
    found = estimates[stage]
    said = {each.resource.logical_id for each in (*found.lines, *found.free, *found.unknown)}
    assert said == {resource.logical_id for resource in assembly.read(assemblies[stage]).resources}
    assert unknown(found) == ["detailed observability"]


def test_prod_pays_for_its_private_network(estimates: dict[str, Estimate]) -> None:
    prod = estimates["prod"]
    assert {"EC2::NatGateway", "EC2::EIP", "EC2::VPCEndpoint", "EC2::FlowLog"} <= kinds(prod)
    assert prod.monthly(IDLE) > estimates["dev"].monthly(IDLE)


def test_each_load_costs_more_than_the_one_before(estimates: dict[str, Estimate]) -> None:
    for found in estimates.values():
        assert found.monthly(IDLE) < found.monthly(OFFICE) < found.monthly(FULL)


def test_a_bigger_gpu_changes_the_price_of_the_endpoint_only(
    estimates: dict[str, Estimate], synthesize: Synthesize
) -> None:
    bigger = priced(synthesize("dev", {"TWIN_LLM__INSTANCE_TYPE": "ml.g6e.2xlarge"}))
    difference = bigger.monthly(OFFICE) - estimates["dev"].monthly(OFFICE)
    assert difference == AWAKE * (Decimal("2.8026") - Decimal("1.222"))
    assert bigger.monthly(IDLE) == estimates["dev"].monthly(IDLE)
