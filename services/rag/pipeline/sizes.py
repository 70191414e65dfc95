"""The tokens of a prompt against its budgets, and whether a guess about them can be relied on."""

from __future__ import annotations

from dataclasses import dataclass

from services.rag.pipeline.tokens import LEAST_RATIO

GUESS_FACTOR = 2
"""How many times more tokens than guessed a text may have. Characters per token with Qwen's vocabulary: English 5.1,
Python 4.6, German 4.0, Turkish 3.0, JSON 2.6, Chinese 1.8. The guess begins at 4 and follows what engines report."""
WORTH_A_REBUILD = 0.9
"""A prompt that lacks something is built again when it has less than this share of the tokens that were guessed."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of one prompt.

    Attributes:
        window: most tokens of the prompt.
        context_max: most tokens of retrieved text.
        chars: length of all messages.
        context_chars: length of the retrieved text.
        guessed: tokens of all messages, by the counter that built the prompt.
        guessed_context: those of the retrieved text.
        lacking: whether documents or turns were left out, or one was cut.
        counted: tokens of all messages as the model counted them; None when it was not asked.
        counted_context: those of the retrieved text.
    """

    window: int
    context_max: int
    chars: int
    context_chars: int
    guessed: int
    guessed_context: int
    lacking: bool
    counted: int | None = None
    counted_context: int | None = None

    @property
    def doubtful(self) -> bool:
        """Whether a wrong guess may have decided what is in the prompt, or may break a budget."""
        may_overflow = self.chars / LEAST_RATIO > self.window
        return self.lacking or may_overflow or self.guessed_context * GUESS_FACTOR > self.context_max

    @property
    def right(self) -> bool:
        """Whether a counted prompt is within its budgets and lacks nothing that a better guess would have let in."""
        counted, context = self.counted or 0, self.counted_context or 0
        if counted > self.window or context > self.context_max:
            return False
        guessed, real = (self.guessed_context, context) if context else (self.guessed, counted)
        return not self.lacking or real >= WORTH_A_REBUILD * guessed

    @property
    def chars_per_token(self) -> float:
        """Of the retrieved text, or of the whole prompt when it has none; counted."""
        if self.counted_context:
            return self.context_chars / self.counted_context
        return self.chars / max(self.counted or 0, 1)
