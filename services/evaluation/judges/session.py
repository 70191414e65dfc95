"""The judge of a run with the month's budget: opened before judging; its cost is recorded until it is closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from services.common.secret_values import read_secret
from services.evaluation.judges.base import Judge
from services.evaluation.judges.factory import create_judge
from services.evaluation.judges.meter import Meter, Price, Usage
from services.evaluation.judges.settings import JudgeSettings
from services.evaluation.judges.spending import MonthlySpending, SpendingRecord, month_of
from services.evaluation.state import State

logger = logging.getLogger(__name__)

RECORD_SECONDS = 10.0
"""Interval of the records: a killed run loses the cost since the last one; concurrent runs see each other's."""
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class JudgingReport:
    """Calls and cost of judging.

    Attributes:
        judge: the model.
        calls: answers of the judge, repairs included.
        input_tokens: tokens it read.
        output_tokens: tokens it wrote.
        dollars: cost of this run by the prices in the settings.
        repaired: answers that had the asked shape only at the second attempt.
        stopped: judgements that were not made because the month's budget is used up.
        month: calendar month (UTC).
        month_dollars: cost of the month, this run included; None without a record.
        cap_dollars: the month's budget.
        recorded: whether the month's record holds this run.
        message: one sentence when judging stopped or could not be recorded, else empty.
    """

    judge: str
    calls: int
    input_tokens: int
    output_tokens: int
    dollars: float
    repaired: int
    stopped: int
    month: str
    month_dollars: float | None
    cap_dollars: float
    recorded: bool
    message: str

    def combined_with(self, other: JudgingReport) -> JudgingReport:
        """The sum of two reports of one judge, with the later state of the month."""
        month_dollars = [each.month_dollars for each in (self, other) if each.month_dollars is not None]
        return replace(
            self,
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            dollars=round(self.dollars + other.dollars, 6),
            repaired=self.repaired + other.repaired,
            stopped=self.stopped + other.stopped,
            month=max(self.month, other.month),
            month_dollars=max(month_dollars, default=None),
            recorded=self.recorded and other.recorded,
            message=other.message or self.message,
        )


class JudgingSession:
    """The judge of a run; `report` may be called during the run and after it."""

    def __init__(
        self,
        judge: Judge,
        cap_dollars: float,
        record: SpendingRecord | None,
        spent: MonthlySpending,
        clock: Callable[[], datetime],
    ) -> None:
        """Keep the parts; call `open_judge` to get a session."""
        self.judge = judge
        self._cap = cap_dollars
        self._record = record
        self._month = spent
        self._clock = clock
        self._recorded = Usage()
        self._in_order = True
        self._lock = threading.Lock()

    def record(self) -> None:
        """Add the cost since the last call to the month's record, and read the cost of other runs."""
        with self._lock:
            used = self.judge.meter.used
            if self._record is None:
                return
            try:
                self._month = self._record.add(used - self._recorded, self._clock())
            except (ClientError, BotoCoreError) as problem:
                self._in_order = False
                logger.error("the cost of judging could not be recorded: %s", type(problem).__name__)
                return
            self._recorded, self._in_order = used, True
            # The cost since `used` was read counts against the new allowance.
            since = self.judge.meter.used - used
            self.judge.meter.allow(self._cap - self._month.used.dollars - since.dollars)

    def report(self) -> JudgingReport:
        """Calls and cost so far."""
        used, counts = self.judge.meter.used, self.judge.meter.counts
        unrecorded = used - self._recorded if self._record is not None else Usage()
        month_dollars = None if self._record is None else self._month.used.dollars + unrecorded.dollars
        messages = []
        if counts.stopped:
            messages.append(
                f"Judging stopped: the budget of {self._cap:g} US dollars for {self._month.month} is used up; "
                f"{counts.stopped} judgements were not made."
            )
        if not self._in_order:
            messages.append("The cost of judging could not be recorded.")
        return JudgingReport(
            judge=self.judge.model_name,
            calls=used.calls,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            dollars=round(used.dollars, 6),
            repaired=counts.repaired,
            stopped=counts.stopped,
            month=self._month.month,
            month_dollars=None if month_dollars is None else round(month_dollars, 6),
            cap_dollars=self._cap,
            recorded=self._record is not None and self._in_order,
            message=" ".join(messages),
        )


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def open_judge(
    settings: JudgeSettings, state: State | None = None, clock: Callable[[], datetime] = _now
) -> Iterator[JudgingSession | None]:
    """The judge that the settings name, with the rest of the month's budget; None when they name none.

    While it is open, its cost is recorded every `RECORD_SECONDS`, and at the end. Without a table, the budget is that
    of this run alone.

    Raises:
        ConfigurationError: the provider needs a setting that is not set.
        SecretUnavailableError: the API key cannot be read.
        botocore.exceptions.ClientError: the month's record cannot be read; nothing is judged without it.
    """
    if settings.judge_provider == "none":
        yield None
        return
    record = SpendingRecord(state) if state else None
    spent = record.read(clock()) if record else MonthlySpending(month_of(clock()))
    price = Price(settings.judge_input_price, settings.judge_output_price)
    meter = Meter(price, settings.judge_monthly_cap_usd - spent.used.dollars)
    secret = settings.judge_api_key_secret_arn
    judge = create_judge(settings, meter, read_secret(boto3.client("secretsmanager"), secret) if secret else None)
    assert judge is not None  # noqa: S101 - the provider is not none
    session = JudgingSession(judge, settings.judge_monthly_cap_usd, record, spent, clock)
    closed = threading.Event()
    recorder = threading.Thread(target=_keep_recording, args=(session, closed), name="judging-cost", daemon=True)
    recorder.start()
    try:
        yield session
    finally:
        closed.set()
        recorder.join(STOP_SECONDS)
        session.record()
        judge.close()
        if message := session.report().message:
            logger.warning("%s", message)


def _keep_recording(session: JudgingSession, closed: threading.Event) -> None:
    while not closed.wait(RECORD_SECONDS):
        session.record()
