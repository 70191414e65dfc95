"""Count of a judge's calls, tokens and cost, and the budget that stops it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from services.evaluation.judges.errors import JudgingStopped

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens; an endpoint that is paid by the hour has none."""

    input: float = 0.0
    output: float = 0.0

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Dollars for so many tokens."""
        return (input_tokens * self.input + output_tokens * self.output) / TOKENS_PER_PRICE


@dataclass(frozen=True)
class Usage:
    """Calls, tokens and cost of a judge.

    Attributes:
        calls: answers of the provider, repairs included.
        input_tokens: tokens read.
        output_tokens: tokens written.
        dollars: by the price in the settings.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.dollars + other.dollars,
        )

    def __sub__(self, other: Usage) -> Usage:
        return self + Usage(-other.calls, -other.input_tokens, -other.output_tokens, -other.dollars)


@dataclass(frozen=True)
class Counts:
    """Repairs and refusals of a judge.

    Attributes:
        repaired: answers that had the asked shape only at the second attempt.
        stopped: judgements that were not made because the budget is used up.
    """

    repaired: int = 0
    stopped: int = 0


class Meter:
    """Counts the calls of one judge and admits them; safe between threads."""

    def __init__(self, price: Price, allowance: float | None = None) -> None:
        """Start with nothing used.

        Args:
            price: what tokens cost.
            allowance: dollars that may be spent from now on, None for no limit.
        """
        self._price = price
        self._allowance = allowance
        self._reserved: list[float] = []
        self._used = Usage()
        self._counts = Counts()
        self._lock = threading.Condition()

    @property
    def used(self) -> Usage:
        """Calls, tokens and cost so far."""
        with self._lock:
            return self._used

    @property
    def counts(self) -> Counts:
        """Repairs and refusals so far."""
        with self._lock:
            return self._counts

    def reserve(self, input_tokens: int, output_tokens: int) -> float:
        """Reserve the highest cost of a call, so that concurrent calls do not exceed the allowance together.

        Calls cost less than their reservation: when only the reservations of others exceed the allowance, this waits
        until they are settled, and refuses no call for which the allowance is enough.

        Returns:
            Dollars, the first argument of `settle` or `release`.

        Raises:
            JudgingStopped: the allowance is not enough.
        """
        dollars = self._price.of(input_tokens, output_tokens)
        with self._lock:
            while not self._allows(dollars + sum(self._reserved)):
                if not self._allows(dollars):
                    self._counts = replace(self._counts, stopped=self._counts.stopped + 1)
                    raise JudgingStopped("judging stopped: the month's budget is used up")
                self._lock.wait()
            self._reserved.append(dollars)
        return dollars

    def _allows(self, dollars: float) -> bool:
        if self._allowance is None:
            return True
        return self._allowance > 0 and self._used.dollars + dollars <= self._allowance

    def settle(self, reserved: float, input_tokens: int, output_tokens: int) -> None:
        """Count a call that was answered."""
        usage = Usage(1, input_tokens, output_tokens, self._price.of(input_tokens, output_tokens))
        with self._lock:
            self._end_reservation(reserved)
            self._used += usage

    def release(self, reserved: float) -> None:
        """End the reservation of a call that failed."""
        with self._lock:
            self._end_reservation(reserved)

    def _end_reservation(self, reserved: float) -> None:
        self._reserved.remove(reserved)
        self._lock.notify_all()

    def repaired(self) -> None:
        """Count an answer that was well formed only at the second attempt."""
        with self._lock:
            self._counts = replace(self._counts, repaired=self._counts.repaired + 1)

    def allow(self, dollars: float) -> None:
        """Set the allowance from now on: others spend from the same budget."""
        with self._lock:
            self._allowance = self._used.dollars + dollars
            self._lock.notify_all()
