"""Counts tokens for budgets: with the served model's tokenizer, else by a ratio that is learnt from reported counts."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

# English prose has about four characters per token: the first guess, until the engine has reported counts.
CHARS_PER_TOKEN = 4.0
# A report moves the ratio by this share: after some tens of requests it fits code or another language.
LEARNING_RATE = 0.1
# A ratio outside of these bounds is taken for a wrong report.
LEAST_RATIO, MOST_RATIO = 1.0, 6.0
# Below this, the chat template's own tokens outweigh the text.
LEAST_TOKENS = 20


class TokenizerError(ValueError):
    """A tokenizer file cannot be used; the message names it."""


class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    exact: bool
    """Whether counts are exact, that is, those of the served model."""
    special_tokens: tuple[str, ...]
    """The model's control tokens, as its tokenizer writes them; none when its tokenizer is not known."""

    def count(self, text: str) -> int:
        """Number of tokens of a text, without those that a chat template adds."""
        ...

    def learn(self, chars: int, tokens: int) -> None:
        """Learn from a count of the engine: a prompt of `chars` characters had `tokens` tokens."""
        ...


class EstimatedTokens:
    """Characters divided by a running ratio, which starts at four."""

    exact = False
    special_tokens: tuple[str, ...] = ()

    def __init__(self, chars_per_token: float = CHARS_PER_TOKEN) -> None:
        self._ratio = chars_per_token

    def count(self, text: str) -> int:
        """Estimated number of tokens, rounded up."""
        return -int(-len(text) // self._ratio)

    def learn(self, chars: int, tokens: int) -> None:
        """Move the ratio towards an exponential mean of the reported ones."""
        if tokens >= LEAST_TOKENS:
            seen = min(max(chars / tokens, LEAST_RATIO), MOST_RATIO)
            self._ratio += LEARNING_RATE * (seen - self._ratio)


class ModelTokens:
    """Tokens of the served model's own tokenizer."""

    exact = True

    def __init__(self, path: Path) -> None:
        """Load a `tokenizer.json`.

        Raises:
            TokenizerError: the file cannot be read.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises plain Exception for whatever is wrong
            raise TokenizerError(f"The tokenizer {path} cannot be read: {error}") from None
        # A tokenizer file may configure truncation and padding; a count is of the whole text.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder().values()
        self.special_tokens = tuple(sorted(token.content for token in added if token.special))

    def count(self, text: str) -> int:
        """Number of tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def learn(self, chars: int, tokens: int) -> None:
        """Do nothing: the counts are exact."""


def token_counter(path: Path | None) -> TokenCounter:
    """The model's tokenizer when its file is given, else the estimate.

    Raises:
        TokenizerError: the file cannot be read.
    """
    return EstimatedTokens() if path is None else ModelTokens(path)
