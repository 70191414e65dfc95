"""What is shipped for Prometheus and Grafana, held against a real Prometheus that scrapes the real service."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.observability.conftest import GRAFANA, SHIPPED, Prometheus, configure
from tests.integration.rag.conftest import World, eventually
from tests.integration.rag.fakes import KEY
from tests.integration.rag.test_answers import QUESTION

DASHBOARD: dict[str, Any] = json.loads(GRAFANA.read_text(encoding="utf-8"))
# What Grafana puts in for its variables.
VARIABLES = {"$__rate_interval": "1m", "$job": "llm-twin", "$instance": ".*"}
THRESHOLD = re.compile(r"\s(?:>|==)\s[0-9.]+\s*$")


def panels() -> Iterator[tuple[str, str]]:
    """Title and expression of everything that is drawn, as Grafana would ask for it."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, panel["title"]
            yield panel["title"], expression


def ask(world: World, times: int, **more: Any) -> set[int]:
    """The statuses of some questions."""
    with world.client() as client:
        return {client.post("/rag", json={"query": QUESTION, **more}).status_code for _ in range(times)}


@pytest.fixture(scope="module")
def asked(prometheus: Prometheus, running: World) -> Prometheus:
    """Prometheus, once it has seen questions come in, with documents and without."""
    assert ask(running, 3) == ask(running, 1, enable_rag=False) == {200}
    eventually(lambda: prometheus.query('sum(twin_requests_total{status="200"}) >= 4'))
    ask(running, 3)
    eventually(lambda: prometheus.query("sum(rate(twin_ttft_seconds_count[1m])) > 0"))
    return prometheus


@pytest.mark.parametrize(
    "check", [["check", "config", "{config}"], ["test", "rules", str(SHIPPED / "alerts.test.yml")]]
)
def test_promtool_finds_nothing_wrong(promtool: str, check: list[str], tmp_path: Path) -> None:
    config = configure(tmp_path, "127.0.0.1:8000")
    command = [promtool, *(part.format(config=config) for part in check)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr


def test_every_panel_of_the_dashboard_has_data(asked: Prometheus) -> None:
    drawn = dict(panels())
    for title, expression in panels():
        # A single scrape that a busy machine missed takes the gauges away until the next.
        assert eventually(lambda expression=expression: asked.query(expression)), title
    (failing,) = asked.query(drawn["Requests that fail"])
    assert failing == 0, "no failure is a number, not a gap"
    first_tokens = asked.query(drawn["Time to first token"])
    assert len(first_tokens) == 1 and math.isfinite(first_tokens[0])
    assert len(drawn) > 12


def test_every_rule_is_computed_and_none_fires_while_all_is_well(asked: Prometheus) -> None:
    rules = eventually(lambda: _evaluated(asked))
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    eventually(lambda: asked.firing() == set())
    for name, rule in rules.items():
        observed, compared = THRESHOLD.subn("", rule["query"])
        if name == "TwinServerErrors":
            assert compared and asked.query(observed) == [], "nothing failed yet"
        elif name == "TwinNotScraped":
            assert asked.query(rule["query"]) == []
        else:
            assert compared, name
            assert eventually(lambda observed=observed: asked.query(observed)), f"{name} looks at what does not exist"


def test_answers_that_fail_fire_an_alert(asked: Prometheus, world: World) -> None:
    world.cloud.mode = "model_error"
    # A rate is over what a series grew by since it was seen first: the very first errors alone are none.
    assert ask(world, 2) == {502}
    eventually(lambda: ask(world, 1) == {502} and "TwinServerErrors" in asked.firing())
    (share,) = asked.query(dict(panels())["Requests that fail"])
    assert share > 0.05


def test_a_service_that_refuses_to_be_scraped_fires_an_alert_until_it_lets_prometheus_in(asked: Prometheus) -> None:
    asked.key.write_text("not-a-key", encoding="utf-8")
    eventually(lambda: "TwinDown" in asked.firing())
    (target,) = asked.get("targets")["activeTargets"]
    assert target["health"] == "down" and "401" in target["lastError"]
    asked.key.write_text(KEY, encoding="utf-8")
    eventually(lambda: "TwinDown" not in asked.firing())


def _evaluated(prometheus: Prometheus) -> dict[str, Any] | None:
    rules = prometheus.rules()
    return rules if rules and all(rule["health"] != "unknown" for rule in rules.values()) else None


def test_the_dashboard_is_in_order() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24 and not cells & taken, panel["title"]
        taken |= cells
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if panel["type"] != "row"}
    assert sources == {"${datasource}"}, "no data source of somebody's own"
