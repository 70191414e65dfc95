"""The start of every function that takes part in judging."""

from __future__ import annotations

import functools

from services.common.logging import configure_logging
from services.evaluation.settings import EvaluateSettings


@functools.cache
def start() -> EvaluateSettings:
    """The process's settings; also sets up its logging."""
    configure_logging()
    return EvaluateSettings.load()
