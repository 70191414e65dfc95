"""The table of list prices: complete where it must be, dated, with sources, and never silent."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from twin.cost import prices
from twin.cost.catalog import QUERIES, query
from twin.cost.prices import Price, PriceTable
from twin.target.errors import TwinError

GPUS = (
    *(f"ml.g5.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "48xlarge")),
    *(f"ml.g6.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "48xlarge")),
    *(f"ml.g6e.{size}" for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "48xlarge")),
    "ml.p4d.24xlarge",
    "ml.p5.48xlarge",
)


@pytest.fixture(scope="module")
def shipped() -> PriceTable:
    return prices.read(prices.SHIPPED)


@pytest.mark.parametrize("kind", GPUS)
def test_the_usual_gpu_instances_have_a_price(shipped: PriceTable, kind: str) -> None:
    price = shipped.find(f"sagemaker.{kind}", "us-east-1")
    assert price is not None
    assert price.unit == "hour"
    assert Decimal("0.5") < price.usd < 100


def test_every_price_has_a_unit_a_page_of_aws_and_a_date(shipped: PriceTable) -> None:
    for price in shipped:
        assert price.unit
        assert price.source.startswith("https://aws.amazon.com/")
        assert date(2025, 1, 1) <= price.as_of <= date(2027, 1, 1), price


def test_every_price_is_known_in_us_east_1(shipped: PriceTable) -> None:
    for key in shipped.keys():  # noqa: SIM118 - a table, not a mapping
        found = shipped.find(key, "us-east-1")
        assert found is not None
        assert found.region == "us-east-1"


def test_prices_are_exact(shipped: PriceTable) -> None:
    price = shipped.find("fargate.arm64.vcpu", "us-east-1")
    assert price is not None
    assert price.usd == Decimal("0.03238")


def test_a_region_of_its_own_price(shipped: PriceTable) -> None:
    price = shipped.find("balancer.hour", "eu-west-1")
    assert price is not None
    assert (price.usd, price.region) == (Decimal("0.0252"), "eu-west-1")


def test_a_derived_price_says_so(shipped: PriceTable) -> None:
    price = shipped.find("sagemaker.ml.g5.2xlarge", "eu-west-1")
    assert price is not None
    assert "Not read from a page" in price.note


def test_a_region_without_the_price_gets_that_of_us_east_1_and_says_so(shipped: PriceTable) -> None:
    price = shipped.find("sagemaker.ml.g6.xlarge", "eu-west-1")
    assert price is not None
    assert price.region == "us-east-1"


def test_an_unknown_price_is_none_not_zero(shipped: PriceTable) -> None:
    assert shipped.find("sagemaker.ml.p9.48xlarge", "us-east-1") is None


def test_every_query_belongs_to_a_price_of_the_table(shipped: PriceTable) -> None:
    assert set(QUERIES) <= set(shipped.keys())


def test_a_price_without_a_sure_row_in_the_price_list_has_no_query() -> None:
    assert query("queue.request") is None


def test_a_table_survives_writing_and_reading(tmp_path: Path, shipped: PriceTable) -> None:
    prices.write(shipped, tmp_path / "prices.json")
    again = prices.read(tmp_path / "prices.json")
    assert {(p.key, p.region, p.usd, p.as_of) for p in again} == {(p.key, p.region, p.usd, p.as_of) for p in shipped}


def test_a_refreshed_price_lies_over_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Price("key.month", Decimal("1.25"), "month", "eu-west-1", "AWS Price List API", date(2026, 11, 21))
    monkeypatch.setattr(prices, "REFRESHED", tmp_path / "prices.json")
    prices.write(PriceTable([fresh]), prices.REFRESHED)
    table = prices.load()
    found, untouched = table.find("key.month", "eu-west-1"), table.find("key.month", "us-east-1")
    assert found is not None
    assert untouched is not None
    assert (found.usd, found.as_of) == (Decimal("1.25"), date(2026, 11, 21))
    assert untouched.usd == 1


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"prices": {"x": {"unit": "hour", "source": "s", "as_of": "2026-01-01", "usd": {"us-east-1": "0"}}}}',
        '{"prices": {"x": {"unit": "hour", "source": "s", "as_of": "2026-01-01", "usd": {"us-east-1": "NaN"}}}}',
        '{"prices": {"x": {"unit": "hour", "source": "s", "as_of": "2026-01-01", "usd": {"us-east-1": "abc"}}}}',
        '{"prices": {"x": {"unit": "hour", "source": "s", "usd": {"us-east-1": "1"}}}}',
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(TwinError, match="not readable"):
        prices.read(path)


def test_the_shipped_file_holds_prices_as_text_so_that_none_was_ever_a_float() -> None:
    document = json.loads(prices.SHIPPED.read_text())
    for entry in document["prices"].values():
        assert all(isinstance(usd, str) for usd in entry["usd"].values())
