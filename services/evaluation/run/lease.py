"""Only one evaluation at a time: two would judge, pay for and publish the same samples twice."""

from __future__ import annotations

from services.evaluation.storage.state import State

KEY = "lease/evaluation"


class Lease:
    """The right to judge. It ends by itself, so that a run that was killed does not stop all further ones."""

    def __init__(self, state: State, holder: str) -> None:
        """`holder` is unique per run."""
        self._state = state
        self.holder = holder

    def acquire(self, seconds: float) -> bool:
        """Take or prolong the lease; False when another run has it, which is then asked to look once more at its end.

        The holder that was just asked may have been about to finish: a lease that is free by then is taken after all.
        """
        while not self._state.put_if_free(KEY, self.holder, seconds):
            if self._state.ask_holder(KEY):
                return False
        return True

    def release(self) -> bool:
        """Give the lease back; False when somebody asked meanwhile, and the lease is still held."""
        return self._state.free(KEY, self.holder, unless_asked=True)

    def drop(self) -> None:
        """Give the lease back whatever was asked: a run that failed must not hold up the next."""
        self._state.free(KEY, self.holder)
