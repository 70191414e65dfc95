"""Builds the chat messages for the LLM from versioned templates, within the model's token budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.rag.conversation import Turn
from services.rag.errors import PromptTooLong
from services.rag.pipeline.foreign_text import ForeignText
from services.rag.pipeline.sizes import Sizes
from services.rag.pipeline.tokens import EstimatedTokens, TokenCounter
from services.rag.prompts.library import PromptLibrary, Template
from services.rag.stores.documents import Hit

WITH_CONTEXT = "answer_with_context"
WITHOUT_CONTEXT = "answer_without_context"
DOCUMENT = '<document id="{number}" title="{title}">\n{text}\n</document>\n'
CALLER = "{ours}\nInstructions of the application that asks, within the rules above:\n{theirs}"

DEFAULT_MODEL_LEN = 8192
# Tokens that a chat template adds per message (role and delimiters): at most four in those of common models.
MESSAGE_TOKENS = 4


@dataclass(frozen=True)
class Prompt:
    """Messages for the LLM, and the documents and turns that fitted.

    Attributes:
        template: the template it was made from.
        messages: chat messages.
        context: the retrieved text as it is in the prompt.
        used: the hits in the context, in the order of their numbers.
        dropped_turns: turns of the history that did not fit.
        sizes: its tokens and its budgets.
    """

    template: Template
    messages: list[dict[str, str]]
    context: str
    used: list[Hit]
    dropped_turns: int
    sizes: Sizes


class PromptBuilder:
    """Formats prompts within the model's window."""

    def __init__(
        self,
        context_max_tokens: int,
        tokens: TokenCounter | None = None,
        *,
        model_len: int = DEFAULT_MODEL_LEN,
        library: PromptLibrary | None = None,
    ) -> None:
        """Read the templates in use.

        Args:
            context_max_tokens: most tokens of retrieved text.
            tokens: counts tokens; None estimates them.
            model_len: the model's window: most tokens of prompt and answer together.
            library: where the templates are; None means the package's own.
        """
        self.tokens: TokenCounter = tokens or EstimatedTokens()
        self._escape = ForeignText(self.tokens.special_tokens).escape
        self._context_max = context_max_tokens
        self._model_len = model_len
        library = library or PromptLibrary()
        self._with = library.active(WITH_CONTEXT)
        self._without = library.active(WITHOUT_CONTEXT)

    def build(
        self,
        query: str,
        hits: Sequence[Hit] | None,
        *,
        history: Sequence[Turn] = (),
        system: str = "",
        max_output_tokens: int = 0,
        tokens: TokenCounter | None = None,
    ) -> Prompt:
        """Messages for a question.

        Instructions and question are always included. Hits are added by rank, up to the context's budget, until one
        does not fit; a first hit that does not fit alone is cut. The remaining budget is for the history, newest turns
        first.

        Args:
            query: the question.
            hits: best first; None means retrieval is off, and an empty list that it found nothing.
            history: earlier turns, oldest first.
            system: the caller's own instructions; they follow the template's.
            max_output_tokens: tokens to leave for the answer.
            tokens: counts for this prompt only; None means the builder's own.

        Raises:
            PromptTooLong: the instructions and the question alone do not fit.
        """
        tokens = tokens or self.tokens
        template = self._without if hits is None else self._with
        left = self._left(self.bare(query, template, system), max_output_tokens, tokens)
        context, used, cut = self._pack(hits or (), min(left, self._context_max), tokens)
        guessed_context = tokens.count(context)
        kept = self._recent(history, left - guessed_context, tokens)
        messages = [
            {"role": "system", "content": self._instructions(template, system)},
            *({"role": turn.role, "content": self._escape(turn.content)} for turn in kept),
            {"role": "user", "content": self._user(template, query, context)},
        ]
        dropped = len(history) - len(kept)
        sizes = Sizes(
            window=self._model_len - max_output_tokens,
            context_max=self._context_max,
            chars=sum(len(message["content"]) for message in messages),
            context_chars=len(context),
            guessed=self.guess(messages, tokens),
            guessed_context=guessed_context,
            lacking=cut or dropped > 0 or len(used) < len(hits or ()),
        )
        return Prompt(template, messages, context, used, dropped, sizes)

    def bare(self, query: str, template: Template | None = None, system: str = "") -> list[dict[str, str]]:
        """The messages that are always in a prompt: instructions and question.

        Args:
            query: the question.
            template: None means the one with context, which is the longest.
            system: the caller's own instructions.
        """
        template = template or self._with
        return [
            {"role": "system", "content": self._instructions(template, system)},
            {"role": "user", "content": self._user(template, query, "")},
        ]

    def guess(self, messages: Sequence[dict[str, str]], tokens: TokenCounter | None = None) -> int:
        """Tokens of messages with those of a chat template; None means the builder's own counter."""
        count = (tokens or self.tokens).count
        return sum(count(message["content"]) + MESSAGE_TOKENS for message in messages)

    def window(self, max_output_tokens: int) -> int:
        """Most tokens of a prompt whose answer may have so many."""
        return self._model_len - max_output_tokens

    def too_long(self, needed: int, max_output_tokens: int, about: str = "about ") -> PromptTooLong:
        """The error for instructions and a question of `needed` tokens, which do not fit."""
        return PromptTooLong(
            f"Instructions and question have {about}{needed} tokens and the answer may have {max_output_tokens}; "
            f"the model takes {self._model_len} in all."
        )

    def _left(self, bare: Sequence[dict[str, str]], max_output_tokens: int, tokens: TokenCounter) -> int:
        """Number of tokens left for context and history.

        Raises:
            PromptTooLong: nothing is left.
        """
        needed = self.guess(bare, tokens)
        left = self.window(max_output_tokens) - needed
        if left < 0:
            raise self.too_long(needed, max_output_tokens)
        return left

    def _pack(self, hits: Sequence[Hit], budget: int, tokens: TokenCounter) -> tuple[str, list[Hit], bool]:
        """The context, the hits in it, and whether one was cut."""
        parts: list[str] = []
        used: list[Hit] = []
        cut = False
        for hit in hits:
            part = self._document(len(used) + 1, hit.chunk.title, hit.chunk.text)
            size = tokens.count(part)
            if size > budget:
                if used or not (part := self._cut(hit, budget, tokens)):
                    break
                size, cut = budget, True
            parts.append(part)
            used.append(hit)
            budget -= size
        return "".join(parts), used, cut

    def _cut(self, hit: Hit, budget: int, tokens: TokenCounter) -> str:
        """The first document, cut to the budget; empty when not even a part fits."""
        text = hit.chunk.text
        while text:
            part = self._document(1, hit.chunk.title, text)
            size = tokens.count(part)
            if size <= budget:
                return part
            # Cut in proportion, by at least 5 %, so that the loop ends: counts are not linear in characters.
            text = text[: int(len(text) * min(budget / size, 0.95))]
        return ""

    def _recent(self, history: Sequence[Turn], budget: int, tokens: TokenCounter) -> list[Turn]:
        kept: list[Turn] = []
        for turn in reversed(history):
            budget -= tokens.count(turn.content) + MESSAGE_TOKENS
            if budget < 0:
                # An answer without its question must not become the first turn.
                while kept and kept[-1].role == "assistant":
                    kept.pop()
                break
            kept.append(turn)
        return kept[::-1]

    def _instructions(self, template: Template, system: str) -> str:
        return CALLER.format(ours=template.system, theirs=self._escape(system)) if system else template.system

    def _user(self, template: Template, query: str, context: str) -> str:
        return template.render_user(context=context, question=self._escape(query))

    def _document(self, number: int, title: str, text: str) -> str:
        title = self._escape(title).replace('"', "'").replace("\n", " ")
        return DOCUMENT.format(number=number, title=title, text=self._escape(text))
