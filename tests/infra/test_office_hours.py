"""Office hours: the scheduled actions of the LLM's scaling, and settings that make no sense."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_applicationautoscaling as scaling

from infra.constructs.llm.office_hours import keep_office_hours
from infra.names import COPIES_DIMENSION
from infra.settings.deployment import SettingsError, load_settings
from infra.settings.guard import OfficeHours
from twin.cost import office_hours
from twin.cost.assembly import Assembly, Resource
from twin.target.parking import present_bounds

from .conftest import Template, only


def scheduled(hours: OfficeHours) -> Template:
    """Properties of a target like the LLM stack's."""
    stack = cdk.Stack(cdk.App(), "llm")
    target = scaling.CfnScalableTarget(
        stack,
        "Copies",
        service_namespace="sagemaker",
        resource_id="inference-component/model",
        scalable_dimension=COPIES_DIMENSION,
        min_capacity=0,
        max_capacity=3,
    )
    keep_office_hours(target, hours)
    return only(dict(assertions.Template.from_stack(stack).to_json()), "ApplicationAutoScaling::ScalableTarget")


def priced(properties: Template) -> office_hours.Hours:
    return office_hours.of(Assembly((Resource("llm", "us-east-1", "Copies", office_hours.TARGET, properties),)))


def test_outside_the_hours_no_copy_may_run() -> None:
    properties = scheduled(OfficeHours.model_validate({"time_zone": "Europe/Berlin"}))
    assert (properties["MinCapacity"], properties["MaxCapacity"]) == (0, 3)
    opens, closes = properties["ScheduledActions"]
    assert opens["Schedule"] == "cron(0 8 ? * MON,TUE,WED,THU,FRI *)"
    assert opens["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 3}
    assert closes["Schedule"] == "cron(0 18 ? * MON,TUE,WED,THU,FRI *)"
    assert closes["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}
    assert opens["Timezone"] == closes["Timezone"] == "Europe/Berlin"
    assert priced(properties) == office_hours.Hours(10 * 5 * office_hours.WEEKS_PER_MONTH, Decimal(0))


def test_a_copy_may_be_started_with_the_day_and_is_paid_for_all_of_it() -> None:
    hours = OfficeHours.model_validate(
        {"days": ["sat", "sun"], "start": "09:30", "end": "12:00", "wake_at_start": True}
    )
    properties = scheduled(hours)
    assert properties["ScheduledActions"][0]["Schedule"] == "cron(30 9 ? * SAT,SUN *)"
    assert properties["ScheduledActions"][0]["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 3}
    paid = Decimal("2.5") * 2 * office_hours.WEEKS_PER_MONTH
    assert priced(properties) == office_hours.Hours(paid, paid)


def test_what_cannot_sleep_has_no_office_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_GUARD__OFFICE_HOURS", "{}")
    monkeypatch.setenv("TWIN_LLM__MODE", "real-time")
    with pytest.raises(SettingsError, match="needs an endpoint that can sleep"):
        load_settings("dev")


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ({"start": "18:00", "end": "08:00"}, "end must be later than start"),
        ({"start": "08:00", "end": "08:00"}, "end must be later than start"),
        ({"start": "08:00:30"}, "whole minutes"),
        ({"start": "08:00Z"}, "whole minutes"),
        ({"end": "25:00"}, "end"),
        ({"days": []}, "days"),
        ({"days": ["mon", "mon"]}, "each day can be named once"),
        ({"days": ["monday"]}, "days"),
        ({"time_zone": "Mars/Olympus"}, "no IANA time zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
    ],
)
def test_hours_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch, hours: Any, words: str) -> None:
    monkeypatch.setenv("TWIN_GUARD__OFFICE_HOURS", json.dumps(hours))
    with pytest.raises(SettingsError, match=words):
        load_settings("dev")


def test_hours_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_GUARD__OFFICE_HOURS", '{"start": "07:30", "time_zone": "Asia/Tokyo"}')
    found = load_settings("dev").guard.office_hours
    assert found is not None
    assert (found.start, found.end, found.time_zone) == (time(7, 30), time(18), "Asia/Tokyo")


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        # Berlin is two hours ahead of UTC in summer and one in winter.
        ("2030-07-01T05:59:59+00:00", False),
        ("2030-07-01T06:00:00+00:00", True),
        ("2030-07-01T15:59:59+00:00", True),
        ("2030-07-01T16:00:00+00:00", False),
        ("2030-01-07T06:30:00+00:00", False),
        ("2030-07-06T10:00:00+00:00", False),
    ],
)
def test_a_moment_is_inside_by_the_clock_of_the_hours_time_zone(moment: str, inside: bool) -> None:
    hours = OfficeHours.model_validate({"time_zone": "Europe/Berlin"})
    assert hours.contains(datetime.fromisoformat(moment)) == inside


def test_a_model_that_is_unparked_gets_the_bounds_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `twin deploy` sets is what the scheduled actions would have set: the two must not part."""
    given = {"days": ["tue"], "wake_at_start": True}
    monkeypatch.setenv("TWIN_GUARD__OFFICE_HOURS", json.dumps(given))
    monkeypatch.setenv("TWIN_LLM__MAX_COPIES", "3")
    settings = load_settings("dev")
    opens, closes = scheduled(OfficeHours.model_validate(given))["ScheduledActions"]
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert present_bounds(settings, noon) == opens["ScalableTargetAction"]
    assert present_bounds(settings, noon + timedelta(days=1)) == closes["ScalableTargetAction"]
