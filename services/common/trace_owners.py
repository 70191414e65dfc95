"""Which API key a trace belongs to: only that key continues the trace or rates its answer.

Ids of traces are no secrets, they stand in messages and logs. A trace of this service belongs to the key that asked; a
trace of a caller, which the service continues, to the first key whose steps are in it. The record is in Opik, as
`KEY_NAME` in the metadata of the trace or of its steps; what this process knows of it is kept here. An answer's trace
may be on its way to Opik from another process: its id says that it is of this service, so that no key can claim it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from services.common.ids import is_marked
from services.common.tracing import Trace

KEY_NAME = "key_name"
"""Field of metadata with the name of the key: a new key of the same name owns the traces of the one before."""
OTHER_KEY = "the trace belongs to another key: it was not continued, the request has a trace of its own"
"""Line of the security log."""
MAX_KNOWN = 2000


class TraceOwners:
    """Names of the keys that traces belong to; safe to share between threads."""

    def __init__(self, look_up: Callable[[str], str | None], most: int = MAX_KNOWN) -> None:
        """Start empty.

        Args:
            look_up: finds the owner of a trace where traces are kept; None for a trace without one. Blocks.
            most: traces to remember; the oldest are forgotten.
        """
        self._look_up = look_up
        self._most = most
        self._known: OrderedDict[str, str] = OrderedDict()
        self._sent: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, trace_id: str) -> str | None:
        """The owner as far as this process has found out; never blocks."""
        with self._lock:
            return self._known.get(trace_id)

    def sent(self, trace: Trace) -> None:
        """Remember a trace that is on its way; never blocks."""
        if trace.continued and is_marked(trace.id):
            return
        # Whose a caller's trace is, Opik may know better: another process may have continued it before.
        self._remember(self._sent if trace.continued else self._known, trace.id, trace.owner)

    def of(self, trace_id: str) -> str | None:
        """The owner of a trace, None for one without; raises what `look_up` raises."""
        if (known := self.known(trace_id)) is not None:
            return known
        found = self._look_up(trace_id)
        if found is None:
            with self._lock:
                return self._sent.get(trace_id)
        self._remember(self._known, trace_id, found)
        return found

    def claim(self, trace_id: str, owner: str) -> bool:
        """Whether a trace belongs to a key, which becomes the owner of a caller's trace without one.

        Raises what `look_up` raises.
        """
        if (found := self.of(trace_id)) is None:
            if is_marked(trace_id):
                return False
            found = owner
        self._remember(self._known, trace_id, found)
        return found == owner

    def _remember(self, names: OrderedDict[str, str], trace_id: str, owner: str) -> None:
        with self._lock:
            names.setdefault(trace_id, owner)
            if len(names) > self._most:
                names.popitem(last=False)
