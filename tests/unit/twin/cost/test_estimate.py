"""Sums, loads and assumptions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from twin.cost import report
from twin.cost.assumptions import Assumptions, parse
from twin.cost.estimate import Estimate
from twin.cost.load import FULL, IDLE, OFFICE, loads
from twin.target.errors import TwinError

Priced = Callable[..., Estimate]
Make = Callable[..., dict[str, Any]]


def test_full_load_follows_from_copies_and_tokens() -> None:
    assumed = parse(
        ["prompt_tokens=1000", "prefill_tokens_per_second=2000", "answer_tokens=150", "decode_tokens_per_second=100"]
    )
    _, _, full = loads(assumed, Decimal(3))
    # Half a second to read and one and a half to write: 1,800 answers an hour and copy.
    assert full.answers == 3 * 1800 * 730


def test_a_stated_full_load_wins() -> None:
    _, _, full = loads(parse(["full_answers_per_hour=10"]), Decimal(3))
    assert full.answers == 7300


def test_an_idle_month_has_no_price_per_answer(priced: Priced, make: Make) -> None:
    estimate = priced({"Key": make("KMS::Key")}, "office_answers_per_hour=10")
    idle, office, _ = estimate.loads
    assert estimate.per_thousand(idle) is None
    assert estimate.per_thousand(office) == Decimal(1) / 1950 * 1000


def test_further_answers_cost_what_full_load_adds(priced: Priced, make: Make) -> None:
    variant = {
        "InstanceType": "ml.g6.2xlarge",
        "ManagedInstanceScaling": {"MinInstanceCount": 0, "MaxInstanceCount": 1},
    }
    config = make("SageMaker::EndpointConfig", ProductionVariants=[variant])
    estimate = priced({"Config": config, "Key": make("KMS::Key")}, "full_answers_per_hour=1000", "answer_kilobytes=0")
    assert estimate.marginal_per_thousand == Decimal("1.222")


def test_days_hours_and_months_agree(priced: Priced, make: Make) -> None:
    estimate = priced({"Balancer": make("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")})
    assert estimate.hourly(IDLE) == Decimal("0.0225")
    assert abs(estimate.daily(IDLE) - 24 * Decimal("0.0225")) < Decimal("0.0001")


def test_money_is_never_a_float(priced: Priced, make: Make) -> None:
    estimate = priced({"Key": make("KMS::Key"), "Secret": make("SecretsManager::Secret")})
    for line in estimate.lines:
        assert all(type(amount) is Decimal for amount in (*line.units.values(), *line.monthly.values()))


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("answer_tokens", "write name=value"),
        ("tokens=3", "tokens is no assumption"),
        ("answer_tokens=many", "answer_tokens"),
        ("answer_tokens=0", "answer_tokens"),
        ("office_hours_per_month=800", "office_hours_per_month"),
        ("image_gigabytes=NaN", "image_gigabytes"),
    ],
)
def test_a_wrong_assumption_is_a_sentence(argument: str, sentence: str) -> None:
    with pytest.raises(TwinError, match=sentence):
        parse([argument])


def test_every_assumption_is_described_and_bounded() -> None:
    for name, field in Assumptions.model_fields.items():
        assert field.description, name
        assert field.metadata, name


def test_a_price_of_another_region_is_told(priced: Priced, make: Make) -> None:
    variant = {"InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1}
    estimate = priced({"C": make("SageMaker::EndpointConfig", ProductionVariants=[variant])}, region="eu-west-1")
    told = " ".join(report.notes(estimate, ()))
    assert "No price for eu-west-1 in the table" in told
    assert "sagemaker.ml.g6.2xlarge (us-east-1)" in told


def test_the_dates_of_the_prices_are_told(priced: Priced, make: Make) -> None:
    estimate = priced({"Gateway": make("EC2::NatGateway")}, region="eu-west-1")
    assert "known on 2026-09-25 to 2026-09-25" in report.notes(estimate, ())[0]


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("0.0004", "<0.01"),
        ("-0.0004", ">-0.01"),
        ("0.005", "<0.01"),
        ("0.01", "0.01"),
        ("1234.5", "1,234.50"),
    ],
)
def test_less_than_a_cent_is_not_shown_as_nothing(amount: str, shown: str) -> None:
    assert report.money(Decimal(amount)) == shown


def test_unknown_prices_are_a_table_of_their_own_next_to_the_sums(priced: Priced, make: Make) -> None:
    estimate = priced({"Db": make("RDS::DBInstance"), "Key": make("KMS::Key")})
    titles = [table.title for table in report.tables(estimate, "Stage x")]
    assert titles[-2:] == ["NOT in the sums: price unknown", "Sums in USD"]
    assert estimate.monthly(OFFICE) == estimate.monthly(FULL) == 1


def test_json_keeps_every_digit(priced: Priced, make: Make) -> None:
    document = report.as_dict(priced({"Queue": make("SecretsManager::Secret")}))
    lines = document["lines"]
    assert isinstance(lines, list)
    assert lines[1]["price"]["usd"] == "0.000005"
    assert lines[1]["monthly"][IDLE] == "0.219000"
    assert lines[1]["hourly"][IDLE] == "0.000300"


def test_the_page_on_cost_lists_every_assumption_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "cost.md").read_text()
    for name, field in Assumptions.model_fields.items():
        default = "from the template" if field.default is None else field.default
        assert f"| `{name}` | {default} | {field.description} |" in page
