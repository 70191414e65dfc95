"""Errors of the sagemaker-runtime API, with the type, status and members that AWS SDKs parse (protocol rest-json)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from localcloud.sagemaker_runtime.limits import AccountIdentity

MAX_ORIGINAL_MESSAGE_CHARS = 4096


class RuntimeApiError(Exception):
    """Error that ends an invocation instead of a response.

    Attributes:
        error_type: value of the header `x-amzn-errortype`, which becomes the client's error code.
        status: HTTP status.
        members: members of the JSON body beside `Message`.
    """

    def __init__(
        self, error_type: str, status: int, message: str, members: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.status = status
        self.members: dict[str, str | int] = dict(members or {})

    def body(self) -> dict[str, str | int]:
        """The JSON body of the error response."""
        return {"Message": str(self), **self.members}


class NoCapacityError(RuntimeApiError):
    """The inference component has no copy in service; each occurrence counts as NoCapacityInvocationFailures.

    AWS answers a ValidationError (HTTP 400) with exactly this message. Source: AWS Machine Learning Blog, "Unlock cost
    savings with the new scale down to zero feature in Amazon SageMaker AI inference" (December 2024).
    """

    def __init__(self, endpoint_name: str, component_name: str) -> None:
        super().__init__(
            "ValidationError",
            400,
            "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress "
            "(if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.",
        )
        self.endpoint_name = endpoint_name
        self.component_name = component_name


def validation_error(message: str) -> RuntimeApiError:
    """Error for an invalid request: HTTP 400, `ValidationError`."""
    return RuntimeApiError("ValidationError", 400, message)


def endpoint_not_found(endpoint_name: str, identity: AccountIdentity) -> RuntimeApiError:
    """Error for an endpoint that is not in service: HTTP 400, `ValidationError`."""
    return validation_error(f"Endpoint {endpoint_name} of account {identity.account_id} not found.")


def throttled() -> RuntimeApiError:
    """Error for an endpoint at its limit of concurrent invocations: `ThrottlingException`.

    HTTP 400, not 429: "Common Errors" of the Amazon SageMaker API reference. SDKs retry by the type, not the status.
    """
    return RuntimeApiError("ThrottlingException", 400, "Rate exceeded")


def service_unavailable() -> RuntimeApiError:
    """Error for an endpoint of which no container accepts connections: HTTP 503, `ServiceUnavailable`."""
    return RuntimeApiError("ServiceUnavailable", 503, "The service is unavailable. Try your call again.")


def model_error(
    log_group: str, original_status: int, original_message: str, identity: AccountIdentity
) -> RuntimeApiError:
    """Error of the container: HTTP 424, `ModelError`.

    Args:
        log_group: named in the message.
        original_status: the container's HTTP status, 0 when it did not answer.
        original_message: the container's body, cut to `MAX_ORIGINAL_MESSAGE_CHARS`.
        identity: account and region in message and ARN.

    Source:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html#API_runtime_InvokeEndpoint_Errors
    """
    original_message = original_message[:MAX_ORIGINAL_MESSAGE_CHARS]
    side = "client" if 400 <= original_status < 500 else "server"
    message = (
        f'Received {side} error ({original_status}) from primary with message "{original_message}". '
        f"See log group {log_group} in account {identity.account_id} for more information."
    )
    return RuntimeApiError(
        "ModelError",
        424,
        message,
        {
            "OriginalStatusCode": original_status,
            "OriginalMessage": original_message,
            "LogStreamArn": f"arn:aws:logs:{identity.region}:{identity.account_id}:log-group:{log_group}",
        },
    )


def raise_bad_attributes(limit: int) -> NoReturn:
    """Refuse custom attributes that are too long or hold other characters than visible ASCII.

    Raises:
        RuntimeApiError: always.
    """
    raise validation_error(
        "1 validation error detected: Value at 'customAttributes' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit} and satisfy regular expression pattern: \\p{{ASCII}}*"
    )


def raise_body_too_large(limit: int) -> NoReturn:
    """Refuse a request body above the limit.

    Raises:
        RuntimeApiError: always.
    """
    raise validation_error(
        "1 validation error detected: Value at 'body' failed to satisfy constraint: "
        f"Member must have length less than or equal to {limit}"
    )
