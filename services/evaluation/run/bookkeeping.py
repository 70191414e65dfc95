"""Records about runs in the state table: the lease, the count of new samples and the latest run's worst answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.evaluation.state import State

LEASE_KEY = "lease/evaluation"
COUNT_KEY = "count/samples"
LATEST_RUN_KEY = "latest-run"
LATEST_RUN_SECONDS = 7 * 86400.0


class Lease:
    """Exclusive right to evaluate: two runs at a time would judge, pay for and publish the same samples twice.

    It expires, so that a run that was killed does not stop all further ones.
    """

    def __init__(self, state: State, holder: str) -> None:
        """`holder` is unique per run."""
        self._state = state
        self.holder = holder

    def acquire(self, seconds: float) -> bool:
        """Take or prolong the lease; False when another run has it, which is then asked to look once more at its end.

        A holder that finishes just then does not see the request: a lease that is free by then is taken after all.
        """
        while not self._state.put_if_free(LEASE_KEY, self.holder, seconds):
            if self._state.ask_holder(LEASE_KEY):
                return False
        return True

    def release(self) -> bool:
        """Release the lease; False, and still held, when another run asked for it meanwhile."""
        return self._state.free(LEASE_KEY, self.holder, unless_asked=True)

    def drop(self) -> None:
        """Release the lease even if another run asked for it: a run that failed must not block the next."""
        self._state.free(LEASE_KEY, self.holder)


def count_samples(state: State, new: int, every: int, start_evaluation: Callable[[], None]) -> bool:
    """Count new samples and start an evaluation each time the total passes a multiple of `every`.

    The counter is one atomic addition, so each multiple is passed by exactly one caller, however many there are. A
    batch that is delivered twice counts twice: the evaluation then starts a little early and finds fewer samples.

    Args:
        state: the state table.
        new: samples that were stored just now.
        every: samples between two evaluations.
        start_evaluation: called when a multiple is passed.

    Returns:
        Whether an evaluation was started.

    Raises:
        botocore.exceptions.ClientError: the samples cannot be counted.
    """
    total = state.add(COUNT_KEY, new)
    if total // every == (total - new) // every:
        return False
    start_evaluation()
    return True


def write_worst_answers(state: State, run: str, worst: Sequence[dict[str, Any]]) -> None:
    """Keep the worst answers of a run, which alerts link to, for a week."""
    state.write(LATEST_RUN_KEY, {"run": run, "worst": list(worst)}, LATEST_RUN_SECONDS)


def read_worst_answers(state: State) -> list[dict[str, Any]]:
    """The worst answers of the latest run; empty when the last one is older than a week."""
    found: list[dict[str, Any]] = (state.read(LATEST_RUN_KEY) or {}).get("worst", [])
    return found
