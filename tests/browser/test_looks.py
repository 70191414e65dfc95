"""The page on phone and desktop, light and dark; screenshots go to the test's temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat
from tests.browser.contrast import contrasts, overflow
from tests.browser.servers import Model, ScriptedService

LEAST_CONTRAST = 4.5
LEAST_TARGET_PX = 40
DESKTOP = {"width": 1280, "height": 900}
# The narrowest that is in use.
PHONE = {"width": 320, "height": 640}
ANSWER = """The timeout is long because the **weights load slowly** [1]. Three things follow:

1. Set `health_check_timeout` to the longest start that you have seen.
2. Watch the queue while it starts [1, 2].
3. Say so on the page.

```python
settings = Settings(health_check_timeout=timedelta(minutes=20), download_timeout=timedelta(minutes=30), retries=0)
```

> A check that ends too early restarts a model that was nearly there.
"""


def _legible(page: Page) -> None:
    found = contrasts(page)
    assert len(found) > 5
    assert [text for text in found if text["contrast"] < LEAST_CONTRAST] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_every_state(
    scheme: str, open_chat: Callable[..., Chat], model: Model, tmp_path: Path
) -> None:
    chat = open_chat(key="", color_scheme=scheme, viewport=DESKTOP)
    _legible(chat.page)
    chat.page.screenshot(path=tmp_path / "key.png")
    chat.enter_key(Chat.KEY)
    _legible(chat.page)
    chat.page.screenshot(path=tmp_path / "welcome.png")
    model.pieces = [ANSWER]
    chat.ask()
    chat.complete()
    chat.button("Source 1: Health checks").or_(chat.button("Source 2: Health checks")).first.click()
    chat.button("Bad answer").click()
    expect(chat.turn.locator(".verdict")).not_to_be_empty()
    _legible(chat.page)
    chat.page.screenshot(path=tmp_path / "answer.png")
    model.mode = "model_error"
    chat.ask("And what else?")
    expect(chat.notice).to_be_visible()
    _legible(chat.page)
    chat.page.screenshot(path=tmp_path / "error.png")
    background = chat.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, background[4:-1].split(","))) < 60) == (scheme == "dark")


def test_a_phone_shows_everything_without_scrolling_sideways(
    open_chat: Callable[..., Chat], model: Model, tmp_path: Path
) -> None:
    chat = open_chat(key="", viewport=PHONE, is_mobile=True, has_touch=True)
    assert overflow(chat.page) <= 0
    chat.page.screenshot(path=tmp_path / "key.png")
    chat.enter_key(Chat.KEY)
    chat.page.screenshot(path=tmp_path / "welcome.png")
    model.pieces = [ANSWER, "A word that does not end: ", "x" * 200]
    chat.question.fill("Why is the health check timeout of " + "w" * 80 + " so long?")
    chat.button("Send").tap()
    chat.complete()
    assert overflow(chat.page) <= 0
    chat.page.screenshot(path=tmp_path / "answer.png")
    chat.turn.locator("details.source summary").first.tap()
    chat.turn.locator(".measurements summary").tap()
    chat.button("Bad answer").tap()
    expect(chat.page.get_by_role("textbox", name="What was wrong?")).to_be_visible()
    assert overflow(chat.page) <= 0
    for control in chat.page.locator("button:visible:not(.cite), summary:visible:not(.measurements *)").all():
        box = control.bounding_box()
        assert box is not None and min(box["width"], box["height"]) >= LEAST_TARGET_PX, control
    chat.page.screenshot(path=tmp_path / "whole.png", full_page=True)


def test_waiting_for_a_model_looks_like_waiting(
    open_scripted_chat: Callable[..., Chat], scripted: ScriptedService, tmp_path: Path
) -> None:
    chat = open_scripted_chat(color_scheme="dark", viewport=PHONE)
    scripted.play(("status", {"state": "waking", "waited_seconds": 3.5}))
    chat.ask()
    expect(chat.turn).to_contain_text("Your question is kept")
    _legible(chat.page)
    assert overflow(chat.page) <= 0
    chat.page.screenshot(path=tmp_path / "waking.png")
