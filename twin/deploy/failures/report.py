"""Report of a failed deployment: failed resources, causes, logs and fixes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from twin.deploy.failures.causes import Cause, explain
from twin.deploy.failures.events import FailedResource, failed_resources, newest_events
from twin.deploy.failures.evidence import Evidence, collect, local_containers, of_service
from twin.target.errors import TwinError
from twin.target.stage import Stage

SHOWN = 5


class FailureRecorder:
    """Records the failed resources of one deployment before the rollback deletes their logs, and explains them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._before = _before(stage)
        self._seen: dict[tuple[str, str], FailedResource] = {}
        self._evidence: dict[tuple[str, str], list[Evidence]] = {}

    def record(self, stack: str, resource_type: str, logical_id: str, reason: str) -> None:
        """Record a failed resource and the evidence of its containers, while the rollback is still running."""
        failure = FailedResource(stack, resource_type, logical_id, reason)
        if failure.is_consequence or failure.key in self._seen:
            return
        self._seen[failure.key] = failure
        self._evidence[failure.key] = self._collect(failure)

    def explained(self, error: TwinError) -> TwinError:
        """The error of the CDK command line with failed resources, causes, logs and what to do."""
        try:
            failures = failed_resources(self._stage, self._before)
        except (BotoCoreError, ClientError):
            # Credentials that end during a deployment must not hide what was seen before.
            failures = []
        merged = {**self._seen, **{failure.key: failure for failure in failures if failure.reason}}
        if not merged:
            return TwinError(_joined(str(error), cause_lines(explain([str(error)]), self._stage)))
        blocks = [self._block(failure) for failure in list(merged.values())[:SHOWN]]
        return TwinError("\n".join([str(error), *(line for block in blocks for line in block)]))

    def _block(self, failure: FailedResource) -> list[str]:
        evidence = self._evidence.get(failure.key)
        if evidence is None:
            evidence = self._collect(failure)
        return [
            f"  {failure.stack}: {failure.type} {failure.logical_id}",
            f"    reason: {failure.plain_reason or 'CloudFormation gives none'}",
            *evidence_lines([failure.reason], evidence, self._stage),
        ]

    def _collect(self, failure: FailedResource) -> list[Evidence]:
        try:
            return collect(self._stage, failure.type, failure.stack, failure.logical_id)
        except (BotoCoreError, ClientError):
            return []


def explained_unready(error: TwinError, stage: Stage, cluster: str, service: str) -> TwinError:
    """The error of a deployed service that does not get ready, with evidence of its containers."""
    try:
        evidence = local_containers() if stage.is_local else of_service(stage, cluster, service)
    except (BotoCoreError, ClientError):
        evidence = []
    return TwinError(_joined(str(error), evidence_lines([str(error)], evidence, stage)))


def evidence_lines(reasons: Sequence[str], evidence: Iterable[Evidence], stage: Stage) -> list[str]:
    """Cause, what to do, reasons of stopped tasks and tails of logs."""
    found = list(evidence)
    said = [*reasons, *(reason for item in found for reason in item.reasons)]
    lines = cause_lines(explain(said, [line for item in found for line in item.lines]), stage)
    for item in found:
        lines += [f"    stopped: {reason}" for reason in item.reasons if not any(reason in known for known in reasons)]
        if item.lines:
            lines.append(f"    last lines of {item.source}:")
            lines += [f"      | {line}" for line in item.lines]
    return lines


def cause_lines(cause: Cause | None, stage: Stage) -> list[str]:
    """A cause with its fix; nothing for one that the table does not know."""
    if cause is None:
        return []
    fix = cause.fix.format(stage=stage.name, region=stage.region)
    return [f"    means:  {cause.meaning}", f"    to do:  {fix}"]


def _before(stage: Stage) -> dict[str, str]:
    try:
        return newest_events(stage)
    except (BotoCoreError, ClientError):
        # The deployment itself will say what is wrong with the connection.
        return {}


def _joined(first: str, rest: list[str]) -> str:
    return "\n".join([first, *rest])
