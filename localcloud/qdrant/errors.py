"""Errors with the status codes and messages of Qdrant's REST interface."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


class QdrantError(Exception):
    """Error that the caller gets: HTTP status and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def wrong_input(detail: str) -> QdrantError:
    """Error for a valid request that does not fit the collection (400)."""
    return QdrantError(400, f"Wrong input: {detail}")


def format_error(detail: str) -> QdrantError:
    """Error for a body that does not have the form of this call (400)."""
    return QdrantError(400, f"Format error in JSON body: {detail}")


def validation_error(detail: str) -> QdrantError:
    """Error for a value out of its range (422)."""
    return QdrantError(422, f"Validation error in JSON body: [{detail}]")


def not_found(collection: str) -> QdrantError:
    """Error for a collection that does not exist (404)."""
    return QdrantError(404, f"Not found: Collection `{collection}` doesn't exist!")


def already_exists(collection: str) -> QdrantError:
    """Error for a collection name that is taken (409)."""
    return QdrantError(409, f"Wrong input: Collection `{collection}` already exists!")


def unsupported(feature: str) -> QdrantError:
    """Error for a feature that Qdrant has and this server has not (400); such a request is never ignored."""
    return QdrantError(400, f"Bad request: {feature} is not supported by this server.")


def internal_error() -> QdrantError:
    """Error for a failure of the engine (500); its details are logged and not sent."""
    return QdrantError(500, "Service internal error: the storage engine failed; see the server's log.")


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Translate exceptions of the engine into QdrantError.

    The engine raises plain Exception both for refused requests and for failures, Python's conversion errors for values
    out of range, and a BaseException of its own when it panics.

    Raises:
        QdrantError: 400 for a refused request, 500 for a failure.
    """
    try:
        yield
    except (QdrantError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        message = str(error).partition("\n")[0]  # the other lines are the engine's stack trace
        refused = type(error) is Exception or isinstance(error, ValueError | TypeError | OverflowError)
        if refused and not message.startswith("Service runtime error"):
            raise wrong_input(message) from error
        sys.stderr.write(f"The storage engine failed: {type(error).__name__}: {message}\n")
        raise internal_error() from error
