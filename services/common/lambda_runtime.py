"""The start of a Lambda process, and the values that it keeps between its calls.

A handler module has one function `handler(event, context)`. It builds an object that holds the settings and the
clients, with `once_per_process`, and calls it: tests build the same object with clients of their own. Nothing else in
the functions' code keeps state in a module.

aws-lambda-powertools is not used: 4.7 MB in the layer and 33-42 ms of import at each cold start (measured) cost more
than `LambdaContext` and `read_secret`, which it would replace.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, TypeVar

from services.common.logging import configure_logging
from services.common.settings import SettingsT

ValueT = TypeVar("ValueT")


class LambdaContext(Protocol):
    """Second argument of a handler: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


def once_per_process(build: Callable[[], ValueT]) -> Callable[[], ValueT]:
    """Call `build` when its value is first needed and keep the value; after an exception the next call builds again.

    A process serves many invocations, one after the other: what it builds in the first one (the cold start) is there
    for all others.
    """
    return functools.cache(build)


def start(settings: type[SettingsT]) -> SettingsT:
    """Set up logging and read the settings of a function from its environment.

    Raises:
        ConfigurationError: naming each variable that is missing or wrong.
    """
    configure_logging()
    return settings.load()


def remaining_seconds(context: LambdaContext) -> float:
    """Seconds until Lambda ends the invocation."""
    return context.get_remaining_time_in_millis() / 1000
