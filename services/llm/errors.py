"""Errors that a caller sees, in OpenAI's shape."""

from __future__ import annotations

from typing import Any


class LlmError(Exception):
    """A request cannot be answered; the message is one sentence that a caller may read."""

    def __init__(self, status: int, message: str, *, kind: str | None = None, param: str | None = None) -> None:
        """Keep what the answer needs; `status` is the HTTP status, `param` the field of the body that is wrong."""
        super().__init__(message)
        self.status = status
        self.kind = kind or ("invalid_request_error" if status < 500 else "server_error")
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        """The answer's body."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}}


def invalid(message: str, param: str | None = None) -> LlmError:
    """The request is wrong (400)."""
    return LlmError(400, message, param=param)
