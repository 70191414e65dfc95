"""Score of refusals: answers that decline to answer."""

from __future__ import annotations

import re

from services.common.text import split_sentences

# A refusal is at the beginning; later in an answer the same words limit a statement.
_OPENING_SENTENCES = 2
_UNABLE = r"(?:can(?:no|')t|can not|cannot|could ?n[o']t|am (?:not able|unable)|'m (?:not able|unable)|won't|will not)"
_REFUSAL = re.compile(
    rf"\b(?:i|we)\s*{_UNABLE}\s+(?:\w+\s+)?"
    r"(?:answer|help|assist|provide|find|tell|say|comply|do that|discuss|share|give|determine|respond)"
    r"|\b(?:i|we)\s+(?:do not|don't|did not|didn't)\s+(?:know|have (?:enough|any|the|that)|find)\b"
    r"|\b(?:i|we)\s+must\s+(?:decline|refuse)\b"
    r"|\bno (?:relevant )?(?:information|passage|source|document)s?\s+(?:was|were|is|are|about|on|found)"
    r"|\b(?:context|sources?|documents?|passages?)\s+(?:do|does|did)\s*(?:not|n't)\s+"
    r"(?:contain|mention|say|answer|cover|provide|include)"
    r"|\bas an? (?:ai|language model)\b"
    r"|\b(?:ich|wir)\s+(?:kann|können|weiß|wissen)\b[^.]{0,40}\b(?:nicht|keine)\b"
    r"|\bje ne (?:peux|sais) pas\b|\bno (?:puedo|sé)\b",
    re.IGNORECASE,
)


def refusal(answer: str) -> float | None:
    """1.0 when one of the first two sentences declines to answer, else 0.0; None for an answer without text."""
    sentences = split_sentences(answer.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    if not sentences:
        return None
    return float(any(_REFUSAL.search(sentence) for sentence in sentences[:_OPENING_SENTENCES]))
