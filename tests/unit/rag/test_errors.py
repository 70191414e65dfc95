"""Errors as callers get them: a class that is not listed is answered as its nearest known base."""

from __future__ import annotations

import pytest

from services.common.sagemaker import NoCapacity
from services.rag.api.protocol.errors import describe
from services.rag.errors import BadRequest, PromptTooLong, QuestionRefused, StoreUnavailable


class StoreBusy(StoreUnavailable):
    """A kind of outage that came later."""


class StoreIsElecting(StoreBusy):
    """A kind of that kind."""


class HistoryTooLong(PromptTooLong):
    """A kind of prompt that does not fit."""


class AuthorRefused(QuestionRefused):
    """A kind of refused question."""


class ToolsRefused(BadRequest):
    """A kind of request that cannot be served."""


class CopyIsLoading(NoCapacity):
    """A kind of sleeping model."""


@pytest.mark.parametrize(
    ("error", "status", "code", "param", "retry_after"),
    [
        (StoreBusy("Busy."), 503, "retrieval_unavailable", None, 2),
        (StoreIsElecting("Electing."), 503, "retrieval_unavailable", None, 2),
        (HistoryTooLong("Too long."), 422, "context_length_exceeded", None, None),
        (AuthorRefused("No such author.", "no_author", "author"), 422, "no_author", "author", None),
        (ToolsRefused("No tools.", "unsupported", "tools"), 400, "unsupported", "tools", None),
        (CopyIsLoading("Loading."), 503, "llm_no_capacity", None, 30),
    ],
)
def test_a_subclass_is_answered_as_its_nearest_known_base(
    error: Exception, status: int, code: str, param: str | None, retry_after: int | None
) -> None:
    described = describe(error)
    assert (described.status, described.code, described.param) == (status, code, param)
    assert described.message == str(error)
    assert described.retry_after_seconds == retry_after


def test_what_is_not_known_keeps_its_message_to_the_log() -> None:
    described = describe(ValueError("a secret"))
    assert (described.status, described.code) == (500, "internal_error")
    assert "secret" not in described.message
