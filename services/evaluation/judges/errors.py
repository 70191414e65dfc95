"""Errors of judging."""

from __future__ import annotations


class JudgeError(RuntimeError):
    """A judgement was not given; the message says why, without a secret."""


class JudgeCallFailed(JudgeError):
    """The provider refused, failed, or was not reached in the last attempt."""


class JudgeAnswerMalformed(JudgeError):
    """The answer did not have the asked shape, and neither did the repaired one."""


class JudgingStopped(JudgeError):
    """The month's budget of judging is used up; nothing was called."""
