"""Score of prompt injection: attempts of a question, or of a retrieved document, to give the model orders.

A heuristic: it knows the common forms in English, German, French and Spanish. It is for monitoring, not for blocking.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_PRIOR = r"(?:previous|prior|above|earlier|preceding|foregoing|existing|system|original|initial)"
_ORDERS = r"(?:instructions?|prompts?|rules?|directions?|guidelines?|orders?|messages?|context)"
_QUOTED_CHARS = 120


@dataclass(frozen=True)
class Sign:
    """One form of attack.

    Attributes:
        name: what it is, for the reason of a score.
        weight: how far one occurrence goes towards certainty, 0..1.
        pattern: how it reads, in text that is normalised and in lower case.
    """

    name: str
    weight: float
    pattern: re.Pattern[str]


SIGNS = (
    Sign(
        "override",
        0.8,
        re.compile(
            rf"\b(?:ignore|disregard|forget|override|bypass|skip)\b[^.\n]{{0,30}}\b{_PRIOR}\b[^.\n]{{0,20}}\b{_ORDERS}"
            rf"|\b(?:ignore|disregard|forget)\b\s+(?:all\s+|everything\s+)?(?:of\s+)?(?:your|the|these|those)\s+{_ORDERS}"
            r"|\b(?:ignoriere|vergiss)\b[^.\n]{0,40}\b(?:anweisung|regel|vorgabe)"
            r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.\n]{0,30}\b(?:instructions|consignes)\b[^.\n]{0,20}\bpr[ée]c[ée]dent"
            r"|\b(?:ignora|olvida)\b[^.\n]{0,40}\b(?:instrucciones|reglas)\b"
        ),
    ),
    Sign(
        "system prompt",
        0.7,
        re.compile(
            r"\b(?:reveal|print|show|repeat|output|display|tell me|give me|leak|dump)\b[^.\n]{0,40}"
            r"\b(?:your|the|above)\b[^.\n]{0,20}\b(?:system prompt|system message|hidden (?:prompt|instructions?)"
            r"|initial (?:prompt|instructions?)|instructions? (?:verbatim|above))"
        ),
    ),
    Sign(
        "other role",
        0.6,
        re.compile(
            r"\byou are (?:now|no longer)\b[^.\n]{0,60}"
            r"\b(?:dan|unrestricted|jailbroken|unfiltered|bound|developer mode|evil|without|free)\b"
            r"|\b(?:pretend|act as if)\b[^.\n]{0,40}\b(?:no (?:rules|restrictions|limits|filters)|unrestricted)"
            r"|\b(?:enable|enter|activate)\b[^.\n]{0,15}\b(?:developer|debug|god|jailbreak) mode\b|\bdo anything now\b"
        ),
    ),
    Sign(
        "chat markup",
        0.7,
        re.compile(
            r"<\|(?:im_start|im_end|system|user|assistant|eot_id|start_header_id|begin_of_text)\|?>?"
            r"|\[/?inst\]|<</?sys>>|^[ \t]*+(?:#++[ \t]*+)?(?:system|assistant)[ \t]*+:\s*+\S",
            re.MULTILINE,
        ),
    ),
    Sign(
        "exfiltration",
        0.6,
        re.compile(
            r"!\[[^\[\]]*+\]\(https?://[^()\s?&]*+[?&][^()\s]*?(?:=\{|=\[|=<|=\$|data=|q=|secret|prompt|context|history)"
            r"|\b(?:send|post|forward|exfiltrate|upload)\b[^.\n]{0,60}\b(?:conversation|context|history|api keys?"
            r"|credentials|passwords?|secrets?|prompt)\b[^.\n]{0,40}\bto\b[^.\n]{0,20}(?:https?://|\S{1,64}@\S)"
        ),
    ),
    Sign("encoded text", 0.4, re.compile(r"\b(?:decode|base64|rot13)\b[^.\n]{0,60}\b(?:follow|execute|obey|run|do)\b")),
    Sign(
        "order to the reader",
        0.5,
        re.compile(
            r"\b(?:ai|llm|assistant|language model|chatbot|model)s?\b[^.\n]{0,20}\b(?:reading|processing|that reads)\b"
            r"|\b(?:new|updated|important) (?:system )?instructions?\s*(?:for (?:the|you)[^:\n]{0,30})?:"
        ),
    ),
)


@dataclass(frozen=True)
class Suspicion:
    """Result of the search for orders.

    Attributes:
        score: 0 (nothing) to 1; several signs add up as independent evidence, 1 - (1 - a)(1 - b).
        reason: the signs and where they were, empty without any.
    """

    score: float
    reason: str


def prompt_injection(query: str, context: Sequence[str] = ()) -> Suspicion:
    """Look for orders to the model in the question and in each retrieved text."""
    found: dict[str, tuple[float, str]] = {}
    for place, text in (("question", query), *((f"source {number}", text) for number, text in enumerate(context, 1))):
        plain = _normalised(text)
        for sign in SIGNS:
            if (match := sign.pattern.search(plain)) and sign.name not in found:
                quote = " ".join(match[0].split())[:_QUOTED_CHARS]
                found[sign.name] = (sign.weight, f"{sign.name} in the {place}: {quote}")
    innocent = 1.0
    for weight, _ in found.values():
        innocent *= 1 - weight
    return Suspicion(1 - innocent, "; ".join(reason for _, reason in found.values()))


def _normalised(text: str) -> str:
    """Lower case without the invisible characters and look-alike forms that hide a phrase from a pattern."""
    composed = unicodedata.normalize("NFKC", text)
    return "".join(character for character in composed if unicodedata.category(character) != "Cf").lower()
