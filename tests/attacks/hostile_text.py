"""Texts that would run a script where a page took them for markup. All that any of them does is to set a mark."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from playwright.sync_api import Page

SCRIPT = "window.ran=1"
TEXTS = (
    f"<script>{SCRIPT}</script>",
    f'<img src=x onerror="{SCRIPT}">',
    f"<svg onload={SCRIPT}></svg>",
    f'"><img src=x onerror={SCRIPT}>',
    f"'><script>{SCRIPT}</script>",
    f"</textarea></title></style></script><script>{SCRIPT}</script>",
    f"[link](javascript:{SCRIPT})",
    f"![image](javascript:{SCRIPT})",
    f'[x](https://page.example" onmouseover="{SCRIPT})',
    f"<a href=javascript:{SCRIPT}>link</a>",
    f"<iframe srcdoc='<script>parent.{SCRIPT}</script>'></iframe>",
    f"<details open ontoggle={SCRIPT}>x</details>",
    f"<math><mtext><style><img src=x onerror={SCRIPT}></style></mtext></math>",
    f"&lt;script&gt;{SCRIPT}&lt;/script&gt;",
    f"[link](data:text/html,<script>{SCRIPT}</script>)",
    f"`<img src=x onerror={SCRIPT}>`",
    f"```html\n<script>{SCRIPT}</script>\n```",
    f"| <img src=x onerror={SCRIPT}> |\n|---|\n| x |",
    f"<body onload={SCRIPT}><input autofocus onfocus={SCRIPT}>",
    f"[a]: javascript:{SCRIPT}\n[a]",
    f"<base href=//page.example/><meta http-equiv=refresh content='0;javascript:{SCRIPT}'>",
    f"{{{{constructor.constructor('{SCRIPT}')()}}}}${{{SCRIPT}}}<%={SCRIPT}%>",
)
SCRIPTS_AND_MARKUP = """(where) => {
  const found = [...document.querySelectorAll(`${where} *`)];
  const wrong = found.filter((element) =>
    ["SCRIPT", "IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "META", "STYLE", "MATH"].includes(element.tagName)
    || [...element.attributes].some((attribute) => attribute.name.startsWith("on"))
    || (element.href && !/^(https?|mailto):/.test(element.href.baseVal ?? element.href)));
  return [...(window.ran ? ["a script ran"] : []), ...wrong.map((element) => element.outerHTML.slice(0, 100))];
}"""


def mutated(dice: random.Random) -> Iterator[str]:
    """The texts, and then variants of them without end: other case, characters between, entities, nesting."""
    yield from TEXTS
    while True:
        text = dice.choice(TEXTS)
        for _ in range(dice.randrange(1, 4)):
            place = dice.randrange(len(text))
            text = dice.choice(
                (
                    "".join(letter.swapcase() if dice.random() < 0.3 else letter for letter in text),
                    text[:place] + dice.choice("\t\n\r /\x0b\x0c\x00`*_~[](){}<>'\"&;:\u2028\ufeff") + text[place:],
                    f"{text[:place]}&#x{ord(text[place]):x};{text[place + 1 :]}",
                    text.replace("script", "scr<script>ipt", 1),
                    dice.choice(("> ", "- ", "# ", "1. ", "**", "[", "<")) + text,
                    text + dice.choice(TEXTS),
                )
            )
        yield text


def texts(count: int) -> list[str]:
    """As many texts as asked for, the same in every run."""
    return list(islice(mutated(random.Random(27)), count))


def executed(page: Page, where: str) -> list[str]:
    """What a part of a page holds that it must not when texts are texts: marks of scripts, elements and addresses."""
    found: list[str] = page.evaluate(SCRIPTS_AND_MARKUP, where)
    return found
