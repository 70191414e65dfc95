"""Check of the templates by CloudFormation itself, before anything is made: `cdk validate --online`.

The command line makes a change set of each stack and deletes it again; CloudFormation looks at properties and at names
that are taken: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from twin.doctor.check import Check, Need
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, skipped, warning
from twin.target import cdk
from twin.target.cdk_environment import deployment_overrides
from twin.target.errors import TwinError
from twin.target.stage import connect

NAME = "Templates at CloudFormation"
SECONDS = 600.0
FATAL, SOURCE, RULE = "FATAL ", " (CloudFormation)", "Rule "
"""One problem in the output of the pinned command line: words, place and rule, each on lines of their own."""
NOT_DONE = re.compile(r"Online validation could not be completed for stack '(?P<stack>[^']+)': (?P<said>.+)")
NOT_LOOKED, AGAIN = "CloudFormation has not looked at the templates", "run it again, see docs/doctor.md"
OF_TEMPLATE = "VALIDATION"
"""In the rules of early validation; whatever else keeps a change set from being made may be the account's state."""


def parse(output: str) -> Iterator[Finding]:
    """The findings in the output of `cdk validate --online`."""
    for said, place, rule in _problems(output):
        seen = f"{place}: {said}"
        if OF_TEMPLATE in rule:
            fix = "change the template's setting, or delete or import what has the name"
            yield failed(NAME, seen, "CloudFormation refuses the change set before it makes anything", fix)
        else:
            yield warning(NAME, seen, "no change set can be made now", "deploy the stacks that it reads first")
    for found in NOT_DONE.finditer(output):
        why = "CloudFormation has not looked at this stack"
        yield warning(
            NAME, f"not available for {found['stack']}: {found['said']}", why, "run it again, see docs/doctor.md"
        )


def _problems(output: str) -> Iterator[tuple[str, str, str]]:
    """Words, place and rule of each problem; the words may be several lines."""
    for block in output.split("\n\n"):
        lines = [line.strip() for line in block.strip().splitlines()]
        if len(lines) >= 3 and lines[0].startswith(FATAL) and lines[-1].startswith(RULE):
            said = " ".join(lines[:-2]).removeprefix(FATAL)
            if said.endswith(SOURCE):
                yield " ".join(said.removesuffix(SOURCE).split()), lines[-2], lines[-1].removeprefix(RULE)


def _validate(context: Context) -> Iterator[Finding]:
    try:
        stage = connect(context.stage.name)
        output, passed = cdk.validate(stage.name, deployment_overrides(stage))
    except TwinError as error:
        yield skipped(NAME, f"not available: {error}")
        return
    findings = list(parse(output))
    yield from findings
    if findings:
        return
    if passed:
        yield ok(NAME, "every stack validated")
    else:
        end = " ".join(output.strip().splitlines()[-3:])
        yield warning(
            NAME, f"not available: {end}", "CloudFormation has not looked", "run it again, see docs/doctor.md"
        )


CHECKS = (Check(NAME, _validate, needs=(Need.SETTINGS,), seconds=SECONDS),)
