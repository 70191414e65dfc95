"""What can go wrong when a model judges."""

from __future__ import annotations


class JudgeError(RuntimeError):
    """A judgement was not given; the message says why, without a secret."""


class JudgeCallFailed(JudgeError):  # noqa: N818 - the name says what happened; the base says that it is an error
    """The provider refused, failed, or was not reached in the last attempt."""


class JudgeAnswerMalformed(JudgeError):  # noqa: N818
    """The answer did not have the asked shape, and neither did the repaired one."""


class JudgingStopped(JudgeError):  # noqa: N818
    """The month's budget of judging is used up; nothing was called."""
