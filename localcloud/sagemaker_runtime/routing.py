"""Routing table: model servers by endpoint, written by the runner and read by the runtime for every invocation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NoCapacityCallback = Callable[[str, str], None]
"""Called with endpoint name and component name."""


@dataclass(frozen=True)
class ComponentRoute:
    """One inference component of an endpoint.

    Attributes:
        name: InferenceComponentName, as the caller sends it.
        backends: base URLs of the copies that are healthy now, e.g. `http://127.0.0.1:8080`; empty while none is.
        desired_copies: wanted copy count (0 after a scale-in to zero).
        waking: whether copies are wanted and none is healthy yet.
    """

    name: str
    backends: tuple[str, ...] = ()
    desired_copies: int = 1
    waking: bool = False


@dataclass(frozen=True)
class EndpointRoute:
    """One endpoint in service.

    Attributes:
        endpoint_name: EndpointName, as the caller sends it.
        variant: name of the production variant.
        backends: base URLs of the variant's own instances; used only when the endpoint has no inference components.
        components: the endpoint's inference components by name; empty for an endpoint whose variant names a model.
    """

    endpoint_name: str
    variant: str
    backends: tuple[str, ...] = ()
    components: Mapping[str, ComponentRoute] = field(default_factory=dict)


class RoutingTable:
    """Thread-safe map from endpoint name to route. A route is replaced as a whole, so readers never see half of one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routes: dict[str, EndpointRoute] = {}
        self._callbacks: list[NoCapacityCallback] = []
        self._called_at: dict[str, float] = {}

    def set_endpoint(self, route: EndpointRoute) -> None:
        """Add the endpoint, or replace its route; invocations in progress finish on the route they started with."""
        with self._lock:
            self._routes[route.endpoint_name] = route

    def remove_endpoint(self, name: str) -> None:
        """Remove the endpoint; an unknown name is ignored, so that the call can be repeated."""
        with self._lock:
            self._routes.pop(name, None)

    def get(self, name: str) -> EndpointRoute | None:
        """The route of the endpoint, or None when there is no such endpoint."""
        with self._lock:
            return self._routes.get(name)

    def note_call(self, component_name: str) -> None:
        """Note that a component is called now."""
        with self._lock:
            self._called_at[component_name] = time.monotonic()

    def called_at(self, component_name: str) -> float | None:
        """`time.monotonic()` of the last call of a component, None before the first."""
        with self._lock:
            return self._called_at.get(component_name)

    def on_no_capacity(self, callback: NoCapacityCallback) -> None:
        """Register a callback for each invocation that found no healthy copy.

        It stands for the metric NoCapacityInvocationFailures of AWS. It is called on a worker thread, once per failed
        invocation, also while the component is already starting.
        """
        with self._lock:
            self._callbacks.append(callback)

    def report_no_capacity(self, endpoint_name: str, component_name: str) -> None:
        """Call every callback for one invocation that found no healthy copy."""
        with self._lock:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(endpoint_name, component_name)
