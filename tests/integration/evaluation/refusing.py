"""A CloudWatch that takes no metrics."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


class RefusingCloudWatch:
    """Refuses to publish."""

    def put_metric_data(self, **_: Any) -> None:
        """Refuse as CloudWatch does without the right."""
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutMetricData")
