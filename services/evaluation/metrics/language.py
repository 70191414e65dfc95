"""Language of a text, recognised by its most frequent small words. No model, no dependency."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that are frequent in one language and rare in the others of this table.
_MARKERS: Mapping[str, frozenset[str]] = {
    "en": _words("the and of to is in that it for with are was this be on not which you what how does why"),
    "de": _words("der die das und ist nicht ein eine mit für auf den dem zu wie was warum von im sich wird"),
    "fr": _words("le la les et est des une dans que qui pour pas du au avec ce sur sont plus quoi pourquoi"),
    "es": _words("el los las y es una en que por para con no del se como más su qué cuál está son"),
    "it": _words("il lo gli e è di che un una per non con del della sono come più perché nel cosa"),
    "pt": _words("o os as e é de que um uma para não com do da em como mais por são você qual"),
    "nl": _words("de het een en van is dat niet met voor op zijn te wat hoe waarom wordt aan ook die"),
}
_SCRIPTS = (
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
)
_WORD = re.compile(r"[^\W\d_]+")
_CODE = re.compile(r"```.*?(?:```|$)|`[^`]*`", re.DOTALL)
# Fewer words in common may be chance.
_MIN_MARKERS = 2


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language, or None when the text is too short or in none that is known here.

    Code is left out. A script that is not Latin decides by itself (Cyrillic counts as Russian, Arabic script as Arabic:
    what matters here is that a language differs, not its exact name).
    """
    prose = _CODE.sub(" ", text)
    letters = sum(character.isalpha() for character in prose)
    for language, script in _SCRIPTS:
        if letters and len(script.findall(prose)) > 0.3 * letters:
            return language
    words = _WORD.findall(prose.lower())
    hits = {language: sum(word in markers for word in words) for language, markers in _MARKERS.items()}
    best, second = sorted(hits.values(), reverse=True)[:2]
    if best < _MIN_MARKERS or best == second:
        return None
    return max(hits, key=lambda language: hits[language])


def same_language(query: str, answer: str) -> float | None:
    """1.0 when the answer is in the language of the question, 0.0 when in another, None when either is unknown."""
    asked, answered = language_of(query), language_of(answer)
    return None if asked is None or answered is None else float(asked == answered)
