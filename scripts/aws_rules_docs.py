"""The page docs/aws-rules.md, from the local cloud's catalogue of rules and its table of times."""

from __future__ import annotations

from itertools import groupby

from localcloud.aws_time import DEFAULT_FACTOR, DURATIONS, VARIABLE, Duration
from localcloud.emulator.rules.behaviours import BEHAVIOURS, Behaviour
from localcloud.emulator.rules.catalogue import RULES
from localcloud.emulator.rules.published_metrics import PUBLISHED
from localcloud.emulator.rules.rule import Rule
from twin.target.paths import ROOT

TARGET = ROOT / "docs" / "aws-rules.md"
HEAD = """# What AWS refuses

Written from `localcloud/emulator/rules/` by `make docs`. The local cloud refuses the same, in the same words, so that
what AWS would refuse fails on a laptop. `LOCALCLOUD_AWS_RULES=off` before `make local-start` leaves all rules out,
`LOCALCLOUD_AWS_RULES=-name,-name` single ones. Those marked *MiniStack* are kept by MiniStack itself, and stay.

How sure a rule is: *documented* by AWS, *modelled* in AWS's service model or resource schema, *reported* by others who
saw it on AWS, *suspected* from one of these. None was tried on AWS by this project.
"""

TIMES = f"""## Times

Divided by `{VARIABLE}` ({DEFAULT_FACTOR:g}; 1 is as slow as AWS).

| what | on AWS | here | how | source |
|---|---|---|---|---|"""

BEHAVIOUR = """## What is no refusal

What happens to requests, lists and stacks without being refused. `LOCALCLOUD_AWS_RULES` leaves none of it out.

| behaviour | where | does | here | how sure | source |
|---|---|---|---|---|---|"""

METRICS = """## Metrics that SageMaker publishes

CloudWatch takes an alarm over a metric that does not exist, and the alarm never goes off. A test compares the alarms
and graphs of the templates with this table (`localcloud/emulator/rules/published_metrics.py`).
"""


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    ordered = sorted(RULES, key=lambda rule: (rule.service.lower(), rule.name))
    for service, rules in groupby(ordered, key=lambda rule: rule.service):
        rows = [_row(rule) for rule in rules]
        parts.append(
            "\n".join(
                (
                    f"## {service}\n",
                    "| rule | refused | error | how sure | source |",
                    "|---|---|---|---|---|",
                    *rows,
                    "",
                )
            )
        )
    times = (TIMES, *map(_time, DURATIONS), "")
    return "\n".join((*parts, BEHAVIOUR, *map(_behaviour, BEHAVIOURS), "", *times, _metrics()))


def _behaviour(each: Behaviour) -> str:
    source = f"{_linked(each.source)}, {each.seen.isoformat()}"
    return f"| {' | '.join((f'`{each.name}`', each.where, each.does, each.applied, each.certainty, source))} |"


def _linked(source: str) -> str:
    return f"<{source}>" if "://" in source else source


def _time(duration: Duration) -> str:
    here = f"{duration.seconds / DEFAULT_FACTOR:g} s" if duration.taken else "-"
    cells = (duration.what, f"{duration.seconds:g} s", here, duration.applied)
    return f"| {' | '.join((*cells, f'{duration.source}, read {duration.seen.isoformat()}'))} |"


def _metrics() -> str:
    """The section about metrics, over which CloudWatch refuses nothing."""
    rows = [
        f"| `{each.namespace}` | {', '.join(f'`{name}`' for name in each.names)} | {', '.join(each.dimensions)} "
        f"| {', '.join(each.hosts)} | {_linked(each.source)} |"
        for each in PUBLISHED
    ]
    return "\n".join(
        (METRICS, "| namespace | metrics | dimensions | endpoint | source |", "|---|---|---|---|---|", *rows, "")
    )


def _row(rule: Rule) -> str:
    source = _linked(rule.source)
    name = f"`{rule.name}`" if rule.applies else f"`{rule.name}` (*MiniStack*)"
    cells = (name, rule.refused, f"`{rule.code}`", rule.certainty, f"{source}, {rule.seen.isoformat()}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
