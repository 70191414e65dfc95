"""What judging cost this month, kept in SSM like the watermark, so that it outlives every Lambda."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3

from services.evaluation.judges.meter import Usage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MonthlySpending:
    """The spending of one calendar month (UTC), `2026-11`."""

    month: str
    used: Usage = field(default_factory=Usage)

    def dumps(self) -> str:
        """As JSON."""
        used = {**asdict(self.used), "dollars": round(self.used.dollars, 6)}
        return json.dumps({"month": self.month, **used})

    @classmethod
    def loads(cls, text: str, month: str) -> MonthlySpending:
        """What `dumps` wrote; nothing spent when it is of another month or no spending at all (a new parameter)."""
        try:
            read = json.loads(text)
            if read["month"] != month:
                return cls(month)
            used = Usage(
                int(read["calls"]), int(read["input_tokens"]), int(read["output_tokens"]), float(read["dollars"])
            )
            return cls(month, used)
        except (ValueError, TypeError, KeyError):
            return cls(month)


def month_of(moment: datetime) -> str:
    """The calendar month in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


class SpendingRecord:
    """The parameter of one stage.

    SSM has no conditional write: of two processes that write in the same few milliseconds, one may not be counted. A
    run writes seldom (`RECORD_SECONDS` in `session`), and each write is of what was added since its last.
    """

    def __init__(self, parameter_name: str, client: Any = None) -> None:
        """Keep the name; connects on first use."""
        self._name = parameter_name
        self._client = client or boto3.client("ssm")

    def read(self, moment: datetime) -> MonthlySpending:
        """The month's spending so far.

        Raises:
            botocore.exceptions.ClientError: the parameter does not exist or may not be read.
        """
        value = str(self._client.get_parameter(Name=self._name)["Parameter"]["Value"])
        return MonthlySpending.loads(value, month_of(moment))

    def add(self, used: Usage, moment: datetime) -> MonthlySpending:
        """Add what was used; returns the month's spending after it, that of others included.

        Raises:
            botocore.exceptions.ClientError: the parameter may not be read or written.
        """
        before = self.read(moment)
        after = MonthlySpending(before.month, before.used + used)
        if used.calls:
            self._client.put_parameter(Name=self._name, Value=after.dumps(), Type="String", Overwrite=True)
        return after
