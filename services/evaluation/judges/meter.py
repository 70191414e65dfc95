"""What judging costs, counted as it happens, and the budget that stops it."""

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
    """What was used.

    Attributes:
        calls: answers that the provider gave, repairs among them.
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
    """What happened besides.

    Attributes:
        repaired: answers that had the asked shape only at the second attempt.
        stopped: judgements that were not asked for because the budget is used up.
    """

    repaired: int = 0
    stopped: int = 0


class Meter:
    """Counts the calls of one judge and admits them; safe between threads."""

    def __init__(self, price: Price, allowance: float | None = None) -> None:
        """Start at nothing.

        Args:
            price: what tokens cost.
            allowance: dollars that may be spent from now on, None for any amount.
        """
        self._price = price
        self._allowance = allowance
        self._reserved: list[float] = []
        self._used = Usage()
        self._counts = Counts()
        self._lock = threading.Condition()

    @property
    def used(self) -> Usage:
        """All so far."""
        with self._lock:
            return self._used

    @property
    def counts(self) -> Counts:
        """All so far."""
        with self._lock:
            return self._counts

    def reserve(self, input_tokens: int, output_tokens: int) -> float:
        """Set aside what a call may cost at most, so that calls at the same time do not pass the allowance together.

        Calls cost less than was set aside for them: where only what others set aside stands in the way, this waits
        until they are over, and refuses nothing that the allowance holds.

        Returns:
            Dollars, to be given back to `settle` or `release`.

        Raises:
            JudgingStopped: the allowance does not hold it.
        """
        dollars = self._price.of(input_tokens, output_tokens)
        with self._lock:
            while not self._holds(dollars + sum(self._reserved)):
                if not self._holds(dollars):
                    self._counts = replace(self._counts, stopped=self._counts.stopped + 1)
                    raise JudgingStopped("judging stopped: the month's budget is used up")
                self._lock.wait()
            self._reserved.append(dollars)
        return dollars

    def _holds(self, dollars: float) -> bool:
        if self._allowance is None:
            return True
        return self._allowance > 0 and self._used.dollars + dollars <= self._allowance

    def settle(self, reserved: float, input_tokens: int, output_tokens: int) -> None:
        """Count a call that was answered."""
        usage = Usage(1, input_tokens, output_tokens, self._price.of(input_tokens, output_tokens))
        with self._lock:
            self._give_back(reserved)
            self._used += usage

    def release(self, reserved: float) -> None:
        """Give back what was set aside for a call that failed."""
        with self._lock:
            self._give_back(reserved)

    def _give_back(self, reserved: float) -> None:
        self._reserved.remove(reserved)
        self._lock.notify_all()

    def repaired(self) -> None:
        """Count an answer that had to be asked for twice."""
        with self._lock:
            self._counts = replace(self._counts, repaired=self._counts.repaired + 1)

    def allow(self, dollars: float) -> None:
        """Replace what may still be spent from now on, because others spend from the same budget."""
        with self._lock:
            self._allowance = self._used.dollars + dollars
            self._lock.notify_all()
