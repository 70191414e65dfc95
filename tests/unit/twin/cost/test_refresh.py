"""Fetching prices with the real client over HTTP, from answers in the shape of the Price List API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from tests.aws import CREDENTIALS
from twin.cost import assembly, prices
from twin.cost import stage_cost as cost
from twin.cost.refresh import Refresh, refresh
from twin.target.errors import TwinError

from .price_list import PriceList, product, serve

TODAY = date(2026, 11, 21)
GPU = {"instanceName": "ml.g5.2xlarge", "component": "Hosting"}
BALANCER = {"operation": "LoadBalancing:Application"}
MACHINE = {
    "instanceType": "t4g.small",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
}
PRODUCTS = [
    product("AmazonSageMaker", "EU-Host:ml.g5.2xlarge", "Hrs", "1.6912000000", **GPU),
    product("AmazonSageMaker", "EU-Train:ml.g5.2xlarge", "Hrs", "1.7000000000", **GPU),
    product("AmazonSageMaker", "Host:ml.g5.2xlarge", "Hrs", "1.5150000000", region="us-east-1", **GPU),
    product("AWSELB", "EU-LoadBalancerUsage", "Hrs", "0.0252000000", **BALANCER),
    product("AWSELB", "EU-TS-LoadBalancerUsage", "Hrs", "0.0056000000", **BALANCER),
    product("AWSELB", "EU-Outposts-LoadBalancerUsage", "Hrs", "0.0280000000", **BALANCER),
    product("AmazonCloudWatch", "EU-CW:MetricMonitorUsage", "Metrics", "0.3000000000", "0.1000000000", "0.0500000000"),
    product("AmazonCloudWatch", "EU-CW:AlarmMonitorUsage", "Other", "9.0000000000"),
    product("AmazonVPC", "EU-VpcEndpoint-Hours", "Hrs", "0.0110000000"),
    product("AmazonVPC", "EU-VpcEndpoint-Hours", "Hrs", "0.0130000000"),
    product("AmazonEC2", "EU-BoxUsage:t4g.small", "Hrs", "0.0184000000", marketoption="OnDemand", **MACHINE),
    product("AmazonEC2", "EU-BoxUsage:t4g.small", "Hrs", "0.0000000000", marketoption="CapacityBlock", **MACHINE),
]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # The default session keeps the credentials that it has once seen.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_access_key)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, credentials: None) -> Iterator[PriceList]:
    with serve(PriceList(list(PRODUCTS))) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", running.url)
        yield running


def fetch(keys: Iterable[str], region: str = "eu-west-1") -> Refresh:
    return refresh(keys, region, prices.read(prices.SHIPPED), TODAY, lambda line: None)


@pytest.mark.parametrize(
    ("key", "usd", "unit"),
    [
        ("sagemaker.ml.g5.2xlarge", "1.6912", "hour"),
        ("balancer.hour", "0.0252", "hour"),
        ("metric.month", "0.30", "month"),
        ("machine.t4g.small", "0.0184", "hour"),
    ],
)
def test_a_price_is_taken_from_the_one_product_that_is_meant(api: PriceList, key: str, usd: str, unit: str) -> None:
    (price,) = fetch([key]).prices
    assert (price.key, price.usd, price.unit) == (key, Decimal(usd), unit)
    assert (price.region, price.as_of) == ("eu-west-1", TODAY)


def test_a_region_without_prefix_is_matched_as_well(api: PriceList) -> None:
    (price,) = fetch(["sagemaker.ml.g5.2xlarge"], "us-east-1").prices
    assert price.usd == Decimal("1.515")


def test_every_page_is_read_and_the_request_is_signed_for_the_api_s_region(api: PriceList) -> None:
    fetch(["balancer.hour"])
    assert [request.get("NextToken") for request in api.asked] == [None, "1", "2"]
    assert all("/us-east-1/pricing/aws4_request" in value for value in api.authorizations)
    assert {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"} in api.asked[0]["Filters"]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("endpoint.hour", "gives 2 prices"),
        ("alarm.standard", "gives 0 prices"),
        ("nat.hour", "gives 0 prices"),
        ("queue.request", "no row of the price list"),
    ],
)
def test_what_is_ambiguous_of_another_unit_or_absent_stays_as_it_was(api: PriceList, key: str, why: str) -> None:
    brought = fetch([key])
    assert not brought.prices
    assert why in brought.kept[key]


def test_a_price_that_the_table_lacks_can_be_fetched(api: PriceList) -> None:
    attributes = {"instanceName": "ml.p9.48xlarge"}
    api.products.append(product("AmazonSageMaker", "EU-Host:ml.p9.48xlarge", "Hrs", "99.5", **attributes))
    (price,) = fetch(["sagemaker.ml.p9.48xlarge"]).prices
    assert (price.usd, price.unit) == (Decimal("99.5"), "hour")


def test_refused_credentials_are_a_sentence(api: PriceList) -> None:
    api.refusal = "AccessDeniedException"
    with pytest.raises(TwinError, match="allow them pricing:GetProducts"):
        fetch(["balancer.hour"])


def test_without_credentials_the_sdk_says_so(api: PriceList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(NoCredentialsError):
        fetch(["balancer.hour"])
    assert not api.asked


def test_a_refresh_is_kept_on_this_machine_and_used_from_then_on(
    api: PriceList,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    write_assembly: Callable[..., Path],
    make: Callable[..., dict[str, Any]],
) -> None:
    kept = tmp_path / "prices.json"
    monkeypatch.setattr(prices, "REFRESHED", kept)
    api.products[3] = product("AWSELB", "EU-LoadBalancerUsage", "Hrs", "0.0300000000", **BALANCER)
    balancer = {"Balancer": make("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")}
    found = assembly.read(write_assembly({"twin-x-business": balancer}, "eu-west-1"))
    seen: list[str] = []
    (brought,) = cost.refresh_prices(found, seen.append)
    assert [price.key for price in brought.prices] == ["balancer.hour"]
    assert set(brought.kept) == {"balancer.unit"}
    assert seen == ["balancer.hour: 0.03 USD per hour in eu-west-1"]
    assert cost.cost(found).monthly("idle") == Decimal("0.03") * 730
