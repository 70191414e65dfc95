"""Retention of samples in the datasets."""

from __future__ import annotations

import json

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.evaluation.shared import Shared
from infra.constructs.functions.schedule import FunctionSchedule
from infra.constructs.shared.statements import reads


class SampleRetention(Construct):
    """The function that removes old samples, once a day."""

    def __init__(self, scope: Construct, construct_id: str, *, shared: Shared) -> None:
        super().__init__(scope, construct_id)
        evaluation = shared.settings.evaluation
        self.expire = shared.function(
            self,
            "Expire",
            "expire_samples",
            "Removes samples that are older than their dataset's retention",
            {**shared.opik, "RETENTION_DAYS": json.dumps(evaluation.retention_days, sort_keys=True)},
            cdk.Duration.seconds(evaluation.evaluate_timeout_seconds),
        )
        self.expire.role.add_to_policy(reads(shared.opik_key))
        FunctionSchedule(
            self,
            "Daily",
            expression="rate(1 day)",
            description="Removes samples that are past their retention",
            service=self.expire,
        )
