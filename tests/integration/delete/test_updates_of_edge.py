"""The edge of a deployed stage changes in the emulator, which refuses what CloudFront refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.infra.conftest import Synthesize, Template, read, resources
from tests.integration.delete.conftest import STAGE, Cloud
from twin.delete import delete as command

ORIGIN = "CloudFront::VpcOrigin"


@pytest.fixture
def deployed(cloud: Cloud) -> Iterator[Cloud]:
    cloud.create_all(["network", "evaluation"])
    yield cloud
    assert command.take_down(cloud.stage, (), lambda line: None) == []


def origins(cloud: Cloud) -> list[str]:
    """Ids of the account's VPC origins."""
    found = cloud.emulator.client("cloudfront").list_vpc_origins()["VpcOriginList"].get("Items", [])
    return [origin["Id"] for origin in found]


def test_another_tag_of_the_stage_leaves_the_vpc_origin_alone(deployed: Cloud, synthesize: Synthesize) -> None:
    tagged = [read(synthesize(STAGE, {"TWIN_TAGS": json.dumps({"team": team})}), STAGE) for team in ("a", "b")]
    assert deployed.create("business", tagged[0]["business"]) == "CREATE_COMPLETE", deployed.failures("business")
    before = origins(deployed)
    assert deployed.update("business", tagged[1]["business"]) == "UPDATE_COMPLETE", deployed.failures("business")
    assert origins(deployed) == before
    tags = {tag["Key"] for tag in next(iter(resources(tagged[1]["business"], ORIGIN).values()))["Properties"]["Tags"]}
    assert tags == {"project", "stage"}


def test_another_load_balancer_gets_another_vpc_origin(deployed: Cloud) -> None:
    template = deployed.templates["business"]
    (origin,) = resources(template, ORIGIN)
    name = template["Resources"][origin]["Properties"]["VpcOriginEndpointConfig"]["Name"]
    earlier: Template = json.loads(json.dumps(template).replace(origin, "EarlierOrigin").replace(name, "earlier"))
    assert deployed.create("business", earlier) == "CREATE_COMPLETE", deployed.failures("business")
    before = origins(deployed)
    assert deployed.update("business", template) == "UPDATE_COMPLETE", deployed.failures("business")
    (after,) = origins(deployed)
    assert [after] != before
