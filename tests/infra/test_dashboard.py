"""The dashboard draws metrics that exist, under the names by which they are published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.constructs.monitoring.cost import LIST_PRICES
from infra.constructs.monitoring.metrics import SCORES
from services.evaluation.metrics.names import METRICS
from services.rag.telemetry.emf import _UNITS
from twin.cost import prices

from .conftest import ROOT, Synthesize, Templates, only, read, resources

OWN = "LLMTwin"
JUDGES = {"JudgeCalls", "JudgeInputTokens", "JudgeOutputTokens", "JudgeCost", "JudgementsStopped"}
OF_A_RUN = {"ScoredSamples", "FailedScores", "FailedAnswers", "LengthDrift", "LanguageDrift"}


def body(templates: Templates) -> dict[str, Any]:
    """The dashboard as CloudWatch gets it; references to resources become `<logical id>`."""
    parts = only(templates["evaluation"], "CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    found: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else _reference(part) for part in parts))
    return found


def _reference(part: dict[str, Any]) -> str:
    return f"<{part['Ref'] if 'Ref' in part else part['Fn::GetAtt'][0]}>"


def graphs(dashboard: dict[str, Any]) -> dict[str, Any]:
    """Widgets with metrics by title."""
    return {w["properties"]["title"]: w["properties"] for w in dashboard["widgets"] if w["type"] == "metric"}


def lines(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Namespace, name, dimensions and rendering of every metric that is drawn or computed with."""
    for graph in graphs(dashboard).values():
        for line in graph["metrics"]:
            options = line[-1] if isinstance(line[-1], dict) else {}
            named = [part for part in line if isinstance(part, str)]
            if named:
                yield named[0], named[1], dict(zip(named[2::2], named[3::2], strict=True)), options


@pytest.fixture(scope="module")
def dashboard(dev: Templates) -> dict[str, Any]:
    return body(dev)


@pytest.fixture(scope="module")
def judged(synthesize: Synthesize) -> dict[str, Any]:
    """The dashboard of a stage with a judge, on an instance of unknown price."""
    variables = {
        "TWIN_JUDGE__PROVIDER": "bedrock",
        "TWIN_JUDGE__MODEL": "eu.amazon.nova-lite-v1:0",
        "TWIN_LLM__INSTANCE_TYPE": "ml.p5e.48xlarge",
    }
    return body(read(synthesize("dev", variables), "dev"))


def test_there_is_one_and_its_name_is_the_stages(templates: dict[str, Templates]) -> None:
    for stage in ("dev", "prod"):
        properties = only(templates[stage]["evaluation"], "CloudWatch::Dashboard")
        assert properties["DashboardName"] == f"twin-{stage}-overview"
    assert resources(templates["local"]["evaluation"], "CloudWatch::Dashboard") == {}


def test_every_metric_of_the_service_is_drawn_and_no_unpublished_one(
    dashboard: dict[str, Any], judged: dict[str, Any]
) -> None:
    free = {score.name for score in SCORES if not score.judged}
    scores = {name for score in SCORES for name in (score.name, f"{score.name}{score.worst}")}
    for found, quality, further in (
        (dashboard, {name for name in scores if name.removesuffix("P10").removesuffix("P90") in free}, set[str]()),
        (judged, scores, JUDGES),
    ):
        own = [(name, dimensions) for namespace, name, dimensions, _ in lines(found) if namespace == OWN]
        assert {name for name, _ in own} == set(_UNITS) | quality | OF_A_RUN | further
        assert all(dimensions == {"Stage": "dev"} for _, dimensions in own)


def test_the_scores_are_those_of_the_evaluation() -> None:
    published = {
        metric.cloudwatch: ("P10" if metric.higher_is_better else "P90", metric.judged) for metric in METRICS.values()
    }
    assert {score.name: (score.worst, score.judged) for score in SCORES} == published


def test_thresholds_of_the_alarms_are_drawn(dashboard: dict[str, Any]) -> None:
    found = graphs(dashboard)
    limits = {each["label"]: each["value"] for each in found["Groundedness"]["annotations"]["horizontal"]}
    assert limits == {"Alarm: mean": 0.6, "Alarm: worst tenth": 0.2}
    assert [each["value"] for each in found["GPU"]["annotations"]["horizontal"]] == [97]


def test_the_cost_of_answers_is_computed_from_what_ran_and_who_asked(
    dashboard: dict[str, Any], judged: dict[str, Any]
) -> None:
    def cost(found: dict[str, Any]) -> tuple[str, dict[str, tuple[str, str]]]:
        metrics = graphs(found)["USD per 1,000 answers"]["metrics"]
        (expression,) = (line[0]["expression"] for line in metrics if isinstance(line[0], dict))
        used = {line[-1]["id"]: (line[1], line[-1]["stat"]) for line in metrics if isinstance(line[0], str)}
        assert all(line[-1]["period"] == 3600 for line in metrics)
        return expression, used

    answers, instances = ("TimeToFirstToken", "SampleCount"), ("CPUUtilization", "SampleCount")
    expression, used = cost(dashboard)
    assert used == {"answers": answers, "minutes": instances}
    values = {"minutes": 60, "answers": 500}
    # One instance for an hour and 500 answers: twice the price of the instance's hour.
    assert evaluated(expression, values) == pytest.approx(2 * 1.222)

    expression, used = cost(judged)
    assert used == {"answers": answers, "judge": ("JudgeCost", "Sum")}, "the price of the instance is not known"
    assert evaluated(expression, {"judge": 0.25, "answers": 100}) == pytest.approx(2.5)
    words = " ".join(w["properties"].get("markdown", "") for w in judged["widgets"])
    assert "ml.p5e.48xlarge at an unknown price" in words


def evaluated(expression: str, values: dict[str, float]) -> float:
    """CloudWatch's metric math at one moment, with the operators that are used here."""
    assert re.fullmatch(r"[\w\s*+/().,]+", expression)
    return float(eval(expression, {"__builtins__": {}, "FILL": lambda value, _: value}, values))


def test_list_prices_are_those_of_the_price_table() -> None:
    table = prices.read(prices.SHIPPED)
    for instance, usd in LIST_PRICES.items():
        price = table.find(f"sagemaker.{instance}", "us-east-1")
        assert price is not None and float(price.usd) == usd, instance


def test_widgets_neither_overlap_nor_leave_the_page(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard["widgets"]:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert max(x for x, _ in cells) < 24 and not cells & taken
        taken |= cells
    assert len(graphs(dashboard)) > 25


def test_every_function_and_dead_letter_queue_of_the_evaluation_is_drawn(dev: Templates) -> None:
    functions, queues = resources(dev["evaluation"], "Lambda::Function"), resources(dev["evaluation"], "SQS::Queue")
    drawn = {value.strip("<>") for _, _, dimensions, _ in lines(body(dev)) for value in dimensions.values()}
    assert set(functions) <= drawn
    assert set(queues) <= drawn


def test_the_library_is_imported_only_where_a_dashboard_is_wanted() -> None:
    # An indented import runs when its function does: the stack's, once its setting is true.
    eager = re.compile(r"^(?:from|import) (cdk_monitoring_constructs|infra\.constructs\.dashboard)\b", re.MULTILINE)
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in (ROOT / "infra").rglob("*.py")
        for name in eager.findall(path.read_text(encoding="utf-8"))
    }
    assert found == {("infra/constructs/monitoring/dashboard.py", "cdk_monitoring_constructs")}
