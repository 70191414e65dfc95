"""Selection of the containers for an invocation, and counts of the invocations in progress."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from localcloud.sagemaker_runtime import errors
from localcloud.sagemaker_runtime.limits import AccountIdentity
from localcloud.sagemaker_runtime.routing import EndpointRoute, RoutingTable


@dataclass(frozen=True)
class Target:
    """Containers that may serve one invocation.

    Attributes:
        endpoint_name: EndpointName.
        variant: name of the production variant.
        backends: base URLs of the containers.
        log_group: log group that error messages name.
    """

    endpoint_name: str
    variant: str
    backends: tuple[str, ...]
    log_group: str


def resolve(
    table: RoutingTable,
    endpoint_name: str,
    component_name: str | None,
    target_variant: str | None,
    identity: AccountIdentity,
) -> Target:
    """The containers for an invocation.

    Args:
        table: routes of all endpoints.
        endpoint_name: EndpointName of the request.
        component_name: InferenceComponentName of the request, or None.
        target_variant: TargetVariant of the request, or None.
        identity: account that error messages name.

    Raises:
        RuntimeApiError: ValidationError for an unknown endpoint, variant or component, a missing component name, or a
            component name on an endpoint that has none; ServiceUnavailable when no instance is healthy.
        NoCapacityError: the component has no copy in service.
    """
    route = table.get(endpoint_name)
    if route is None:
        raise errors.endpoint_not_found(endpoint_name, identity)
    if target_variant is not None and target_variant != route.variant:
        raise errors.validation_error(f"Variant {target_variant} of endpoint {endpoint_name} not found.")
    if route.components:
        target = _resolve_component(route, component_name)
        table.note_call(str(component_name))
        return target
    if component_name is not None:
        raise errors.validation_error(
            "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
            "components. Please remove the Inference Component Name header and try again."
        )
    if not route.backends:
        raise errors.service_unavailable()
    return Target(endpoint_name, route.variant, route.backends, f"/aws/sagemaker/Endpoints/{endpoint_name}")


def _resolve_component(route: EndpointRoute, component_name: str | None) -> Target:
    if component_name is None:
        raise errors.validation_error(
            "Inference Component Name header is required for endpoints to which you plan to deploy inference "
            "components. Please include Inference Component Name header or consider using SageMaker models."
        )
    component = route.components.get(component_name)
    if component is None:
        raise errors.validation_error(
            f"Inference Component {component_name} of endpoint {route.endpoint_name} not found."
        )
    if component.desired_copies < 1 or not component.backends:
        raise errors.NoCapacityError(route.endpoint_name, component_name)
    log_group = f"/aws/sagemaker/InferenceComponents/{component_name}"
    return Target(route.endpoint_name, route.variant, component.backends, log_group)


class OutstandingRequests:
    """Invocations in progress, per container (to choose the least loaded) and per endpoint (to throttle).

    Args:
        max_per_endpoint: invocations that one endpoint may have in progress, None for no limit.
    """

    def __init__(self, max_per_endpoint: int | None) -> None:
        self._max_per_endpoint = max_per_endpoint
        self._lock = threading.Lock()
        self._by_backend: Counter[str] = Counter()
        self._by_endpoint: Counter[str] = Counter()

    @contextmanager
    def admitted(self, endpoint_name: str) -> Iterator[None]:
        """Count one invocation of the endpoint while it runs.

        Raises:
            RuntimeApiError: ThrottlingException when the endpoint is at its limit.
        """
        with self._lock:
            if self._max_per_endpoint is not None and self._by_endpoint[endpoint_name] >= self._max_per_endpoint:
                raise errors.throttled()
            self._by_endpoint[endpoint_name] += 1
        try:
            yield
        finally:
            self._release(self._by_endpoint, endpoint_name)

    def by_load(self, backends: tuple[str, ...]) -> list[str]:
        """The containers, those with the fewest requests in progress first; equal ones keep their order."""
        with self._lock:
            return sorted(backends, key=lambda backend: self._by_backend[backend])

    @contextmanager
    def sent_to(self, backend: str) -> Iterator[None]:
        """Count one request of the container while it runs."""
        with self._lock:
            self._by_backend[backend] += 1
        try:
            yield
        finally:
            self._release(self._by_backend, backend)

    def _release(self, counter: Counter[str], key: str) -> None:
        with self._lock:
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]  # ports change with every restart, so idle ones must not stay
