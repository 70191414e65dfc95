"""Checks, run at the same time, each within its time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from twin.doctor.context import Context
from twin.doctor.finding import UNCHECKED, Finding, skipped, warning

REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "AuthorizationErrorException",
}


class Need(Enum):
    """Precondition of a check."""

    SETTINGS = auto()
    CREDENTIALS = auto()


@dataclass(frozen=True)
class Check:
    """One check; it may give several findings.

    Attributes:
        name: what is checked; also the name of the finding when the check could not run.
        look: yields findings; may raise the errors of AWS and HTTP clients.
        needs: without these the check is skipped.
        seconds: time limit.
    """

    name: str
    look: Callable[[Context], Iterable[Finding]]
    needs: tuple[Need, ...] = (Need.SETTINGS, Need.CREDENTIALS)
    seconds: float = 40.0


def run(checks: Sequence[Check], context: Context) -> list[Finding]:
    """Findings of all checks in the order of the checks, however long each took."""
    started = time.monotonic()
    running = [(check, _start(check, context)) for check in checks]
    findings: list[Finding] = []
    for check, future in running:
        left = max(0.0, started + check.seconds - time.monotonic())
        try:
            findings += future.result(left)
        except TimeoutError:
            findings.append(_unchecked(check.name, f"no answer within {check.seconds:g} s", "run the preflight again"))
    return findings


def _start(check: Check, context: Context) -> Future[list[Finding]]:
    future: Future[list[Finding]] = Future()

    def work() -> None:
        try:
            future.set_result(_look(check, context))
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    # A daemon thread, unlike a pool's, does not delay the exit when its check hangs.
    threading.Thread(target=work, name=check.name, daemon=True).start()
    return future


def _look(check: Check, context: Context) -> list[Finding]:
    if Need.CREDENTIALS in check.needs and context.identity is None:
        return [skipped(check.name, "skipped: no credentials")]
    if Need.SETTINGS in check.needs and context.settings is None:
        return [skipped(check.name, "skipped: the settings are wrong")]
    try:
        return list(check.look(context))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in REFUSED:
            return [
                _unchecked(
                    check.name, f"not allowed to look: {error}", f"allow {error.operation_name} to this identity"
                )
            ]
        return [_unchecked(check.name, str(error), "run the preflight again")]
    # A proxy that answers with a web page makes AWS's answers unreadable.
    except (BotoCoreError, ResponseParserError, httpx.HTTPError) as error:
        return [
            _unchecked(check.name, f"{type(error).__name__}: {error}", "check the network and run the preflight again")
        ]


def _unchecked(name: str, seen: str, fix: str) -> Finding:
    return warning(name, seen, UNCHECKED, fix)
