"""Refusals, with the status codes and wording of Qdrant's REST interface."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


class QdrantError(Exception):
    """What a caller is told: an HTTP status and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def wrong_input(detail: str) -> QdrantError:
    """The request was understood but does not fit the collection (400)."""
    return QdrantError(400, f"Wrong input: {detail}")


def format_error(detail: str) -> QdrantError:
    """The body is not what this call takes (400)."""
    return QdrantError(400, f"Format error in JSON body: {detail}")


def validation_error(detail: str) -> QdrantError:
    """A value is out of its range (422)."""
    return QdrantError(422, f"Validation error in JSON body: [{detail}]")


def not_found(collection: str) -> QdrantError:
    """There is no such collection (404)."""
    return QdrantError(404, f"Not found: Collection `{collection}` doesn't exist!")


def already_exists(collection: str) -> QdrantError:
    """The name is taken (409)."""
    return QdrantError(409, f"Wrong input: Collection `{collection}` already exists!")


def unsupported(feature: str) -> QdrantError:
    """Real Qdrant has it, this server does not: said plainly instead of ignoring it (400)."""
    return QdrantError(400, f"Bad request: {feature} is not supported by this server.")


def internal_error() -> QdrantError:
    """The engine failed for a reason that is not the caller's (500); details go to the log only."""
    return QdrantError(500, "Service internal error: the storage engine failed; see the server's log.")


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what the engine raises into a QdrantError.

    It raises bare Exception for what it refuses and for what it failed at, the conversion errors of Python for values
    out of range, and a BaseException of its own when it panics.

    Raises:
        QdrantError: 400 for what it refused, 500 for what it failed at.
    """
    try:
        yield
    except (QdrantError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        message = str(error).partition("\n")[0]  # the rest is the engine's own trail
        refused = type(error) is Exception or isinstance(error, ValueError | TypeError | OverflowError)
        if refused and not message.startswith("Service runtime error"):
            raise wrong_input(message) from error
        sys.stderr.write(f"The storage engine failed: {type(error).__name__}: {message}\n")
        raise internal_error() from error
