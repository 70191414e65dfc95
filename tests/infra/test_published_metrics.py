"""Alarms and graphs look at metrics that SageMaker publishes for the kind of endpoint that the stage has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.emulator.rules.published_metrics import OPENTELEMETRY, OPENTELEMETRY_LABELS, is_published

from .conftest import ROOT, Synthesize, Template, Templates, read, resources
from .test_dashboard import body, lines

VARIABLES: dict[str, dict[str, str]] = {
    "inference-component": {},
    "real-time": {"TWIN_LLM__MODE": "real-time", "TWIN_LLM__ACCELERATORS": "4"},
}
Seen = tuple[str, str, frozenset[str]]


def watched(template: Template) -> Iterator[Seen]:
    """Namespace, name and dimensions of the metrics of every alarm, those within math included."""
    for alarm in resources(template, "CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        stats = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", ()) if "MetricStat" in each]
        for metric in stats or [properties]:
            yield seen(metric)


def seen(metric: dict[str, Any]) -> Seen:
    names = frozenset(each["Name"] for each in metric.get("Dimensions", ()))
    return metric["Namespace"], metric["MetricName"], names


def of_sagemaker(templates: Templates) -> set[Seen]:
    """Every metric of SageMaker that an alarm or a graph of the stage looks at."""
    drawn = ((namespace, name, frozenset(dimensions)) for namespace, name, dimensions, _ in lines(body(templates)))
    alarmed = (found for template in templates.values() for found in watched(template))
    return {found for found in (*drawn, *alarmed) if "sagemaker" in found[0].lower()}


@pytest.mark.parametrize("mode", VARIABLES)
def test_no_alarm_or_graph_is_over_a_metric_that_does_not_exist(synthesize: Synthesize, mode: str) -> None:
    found = of_sagemaker(read(synthesize("dev", VARIABLES[mode]), "dev"))
    assert len(found) > 8
    assert {each for each in found if not is_published(mode, *each)} == set()


def test_the_memory_of_several_gpus_is_divided_by_their_number(synthesize: Synthesize) -> None:
    template = read(synthesize("dev", VARIABLES["real-time"]), "dev")["evaluation"]
    (alarm,) = [
        each["Properties"] for name, each in resources(template, "CloudWatch::Alarm").items() if "GpuMemory" in name
    ]
    (math,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    assert math == "allGPUMemoryUtilization / 4"


def test_answers_that_break_off_go_to_the_alerts_and_take_an_update_back(dev: Templates) -> None:
    for part in ("evaluation", "llm"):
        assert "MidStreamErrors" in {name for _, name, _ in watched(dev[part])}, part
    composite = str(resources(dev["evaluation"], "CloudWatch::CompositeAlarm"))
    assert "AlarmsEndpointBroken" in composite


QUERY = re.compile(r'`(?P<metric>\w+)\{"(?P<label>[^"]+)"="(?P<endpoint>[^"]+)"\}`')


def queries(text: str) -> list[tuple[str, str, str]]:
    """Metric, label and endpoint of each PromQL query in a text."""
    return [(found["metric"], found["label"], found["endpoint"]) for found in QUERY.finditer(text)]


def test_the_queries_that_explain_a_start_name_what_is_sent(dev: Templates) -> None:
    shown = " ".join(widget["properties"].get("markdown", "") for widget in body(dev)["widgets"])
    drawn = queries(shown)
    assert len(drawn) == 6 and {endpoint for _, _, endpoint in drawn} == {"twin-dev-llm"}
    written = queries((ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"))
    assert [metric for metric, *_ in written] == [metric for metric, *_ in drawn]
    for metric, label, _ in (*drawn, *written):
        assert metric in OPENTELEMETRY and label in OPENTELEMETRY_LABELS


def test_without_detailed_observability_there_is_nothing_to_query(synthesize: Synthesize) -> None:
    templates = read(synthesize("dev", {"TWIN_LLM__DETAILED_OBSERVABILITY": "false"}), "dev")
    assert "ColdStartDuration" not in str(body(templates))


def test_no_alarm_or_graph_is_over_what_opentelemetry_sends(dev: Templates) -> None:
    classic = {name for _, name, _ in of_sagemaker(dev)}
    assert classic and not classic & OPENTELEMETRY
