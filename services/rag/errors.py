"""Errors that a caller of the API may see, in one tree with the status and the code that answer them.

    RagError
        RequestRefused      the request is at fault; it names the code and the field
            BadRequest          400
            QuestionRefused     422
        PromptTooLong       422  context_length_exceeded
        UnknownTrace        404  trace_not_found
        StoreUnavailable    503  retrieval_unavailable
        StoreMismatch       503  retrieval_misconfigured
        Overloaded          503  overloaded
        KeysUnavailable     503  auth_unavailable
        MonitoringUnavailable  503  monitoring_unavailable

Codes are part of the API. A subclass is answered as its base, unless it sets the attributes itself. Errors of the LLM
are `services.common.sagemaker`'s; `services.rag.api.protocol.errors` says how they are answered. Errors that never
leave their package (`RerankFailed`, `StructuredAnswerFailed`, ...) are defined where they are handled.
"""

from __future__ import annotations

BUSY_RETRY_SECONDS = 2


class RagError(Exception):
    """Base of the tree; the message is one sentence that may be shown to a caller.

    Attributes:
        status: HTTP status.
        code: machine-readable error code.
        param: field of the request that is at fault; None when none is.
        retry_after_seconds: when to ask again; None when asking again is of no use.
    """

    status: int = 500
    code: str = "internal_error"
    param: str | None = None
    retry_after_seconds: int | None = None


class RequestRefused(RagError):
    """The request is understood and not served, for a reason that the caller can remove."""

    def __init__(self, message: str, code: str, param: str) -> None:
        """Name the reason.

        Args:
            message: one sentence for the caller.
            code: machine-readable error code.
            param: field of the request that is at fault.
        """
        super().__init__(message)
        self.code = code
        self.param = param


class BadRequest(RequestRefused):
    """The request asks for something that this service does not do."""

    status = 400


class QuestionRefused(RequestRefused):
    """A question is larger than this service accepts."""

    status = 422


class PromptTooLong(RagError):
    """What must be in the prompt does not fit into the model's window."""

    status = 422
    code = "context_length_exceeded"


class UnknownTrace(RagError):
    """No trace has this id."""

    status = 404
    code = "trace_not_found"


class StoreUnavailable(RagError):
    """The store cannot be reached, or did not answer in time."""

    status = 503
    code = "retrieval_unavailable"
    retry_after_seconds = BUSY_RETRY_SECONDS


class StoreMismatch(RagError):
    """A collection was filled with another embedding model: its vectors cannot be compared with those of this one."""

    status = 503
    code = "retrieval_misconfigured"


class Overloaded(RagError):
    """More CPU work is waiting than the service can do in time."""

    status = 503
    code = "overloaded"
    retry_after_seconds = BUSY_RETRY_SECONDS


class KeysUnavailable(RagError):
    """The API keys have never been read and cannot be read now."""

    status = 503
    code = "auth_unavailable"
    retry_after_seconds = BUSY_RETRY_SECONDS


class MonitoringUnavailable(RagError):
    """Feedback cannot be taken now."""

    status = 503
    code = "monitoring_unavailable"
    retry_after_seconds = BUSY_RETRY_SECONDS
