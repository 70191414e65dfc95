"""Errors of invocations of a SageMaker endpoint."""

from __future__ import annotations

from aiohttp import ConnectionTimeoutError
from botocore.exceptions import ClientError, EventStreamError

_THROTTLING = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"})
# Resources are still being provisioned or a model loaded, according to the API reference of InvokeEndpoint.
_NOT_READY = frozenset({"ModelNotReadyException"})
_CHANGING = ("not in service", "not inservice", "is being created", "is being updated", "creating", "updating")
_TIMEOUT_CODES = frozenset({"ModelInvocationTimeExceeded"})


class InvocationError(Exception):
    """An invocation did not give a complete answer; the message is one sentence that a caller may see."""


class EndpointNotFound(InvocationError):
    """The endpoint or its inference component does not exist."""


class NoCapacity(InvocationError):
    """The inference component has no copy in service: it sleeps or is waking."""


class EndpointUpdating(InvocationError):
    """The endpoint or its inference component is being created or changed and serves no requests."""


SLEEPING = (NoCapacity, EndpointUpdating)
"""Errors of an endpoint that will serve later without any intervention."""


class Throttled(InvocationError):
    """The endpoint refuses because it serves its maximum of invocations."""


class ModelFailed(InvocationError):
    """The model's container answered with an error.

    Attributes:
        status: the container's own HTTP status; None when it is not known.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class StreamBroken(InvocationError):
    """The stream ended before the answer was complete."""


class InvocationTimeout(InvocationError):
    """No complete answer within the time limit."""


class EndpointUnavailable(InvocationError):
    """The runtime API cannot be reached or refuses for another reason (permissions, outage)."""


def translate(error: Exception, endpoint_name: str, *, streaming: bool) -> InvocationError:
    """The error of this package for an exception of aiohttp or botocore.

    Args:
        error: the exception of aiohttp, of botocore, or of the API in botocore's shape.
        endpoint_name: the endpoint that was invoked.
        streaming: whether the response had begun; a lost connection is then a broken stream.
    """
    if isinstance(error, InvocationError):
        return error
    if isinstance(error, EventStreamError):
        code = error.response.get("Error", {}).get("Code", "")
        detail = error.response.get("ErrorCode", "") or str(error)
        if any(name in f"{code} {detail}" for name in _TIMEOUT_CODES):
            return InvocationTimeout(f"The model behind endpoint {endpoint_name} exceeded its invocation time.")
        return StreamBroken(f"The model behind endpoint {endpoint_name} broke off while it was answering.")
    if isinstance(error, ClientError):
        return _client_error(error, endpoint_name)
    if isinstance(error, ConnectionTimeoutError):
        return EndpointUnavailable("The SageMaker runtime cannot be reached: connecting took too long.")
    if isinstance(error, TimeoutError):
        return InvocationTimeout(f"Endpoint {endpoint_name} did not finish its answer in time.")
    if streaming:
        return StreamBroken(f"The connection to endpoint {endpoint_name} was lost while it was answering.")
    return EndpointUnavailable(f"The SageMaker runtime cannot be reached ({type(error).__name__}).")


def _client_error(error: ClientError, endpoint_name: str) -> InvocationError:
    details = error.response.get("Error", {})
    code, message = details.get("Code", ""), details.get("Message", "")
    if code in _THROTTLING:
        return Throttled(f"Endpoint {endpoint_name} is busy and refused the request.")
    if code in _NOT_READY:
        return EndpointUpdating(f"The model behind endpoint {endpoint_name} is not ready yet.")
    # AWS has no code for these three: only the message distinguishes them from a bad request.
    if code == "ValidationError" and "no capacity" in message.lower():
        return NoCapacity(f"Endpoint {endpoint_name} has no capacity now: the model sleeps or is waking up.")
    if code == "ValidationError" and "not found" in message.lower():
        return EndpointNotFound(f"Endpoint {endpoint_name} (or its inference component) does not exist.")
    if code == "ValidationError" and any(word in message.lower() for word in _CHANGING):
        return EndpointUpdating(f"Endpoint {endpoint_name} is being created or updated and serves no requests now.")
    if code == "ModelError":
        status = error.response.get("OriginalStatusCode")
        said = f"The model behind endpoint {endpoint_name} failed (its status: {status or 'unknown'})."
        return ModelFailed(said, status if isinstance(status, int) else None)
    if code in {"ServiceUnavailable", "InternalFailure", "InternalDependencyException"}:
        return EndpointUnavailable(f"Endpoint {endpoint_name} is not available now ({code}).")
    return EndpointUnavailable(f"Endpoint {endpoint_name} refused the request ({code or 'unknown error'}).")
