"""Asking the real service, over real sockets."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.chat import QUESTION, Chat
from tests.browser.servers import Model

MOST_STOPS = 12


def test_the_answer_appears_token_by_token_with_its_sources(chat: Chat, model: Model) -> None:
    model.waits = True
    model.pieces = ["The timeout ", "covers the **weights** [1]", ", see [7]."]
    chat.ask()
    expect(chat.turn.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(chat.turn).to_contain_text("Writing the answer")
    expect(chat.question).to_have_value("")
    model.cue()
    expect(chat.answer).to_have_text("The timeout")
    expect(chat.turn).to_have_attribute("aria-busy", "true")
    model.cue()
    expect(chat.answer).to_have_text("The timeout covers the weights [1]")
    model.cue()
    chat.complete()
    expect(chat.answer.locator("strong")).to_have_text("weights")
    # A citation becomes a button; a number without a source stays text.
    expect(chat.answer.get_by_role("button")).to_have_count(1)
    expect(chat.answer).to_contain_text("see [7].")
    expect(chat.turn).not_to_have_attribute("aria-busy", "true")
    expect(chat.announcer).to_contain_text("Answer complete. The timeout covers the weights")
    expect(chat.turn.locator(".measurements summary")).to_contain_text("6 tokens")


def test_a_question_is_asked_and_its_sources_opened_by_keyboard_alone(
    open_chat: Callable[..., Chat], model: Model
) -> None:
    model.pieces = ["Long, because of the weights [1]."]
    chat = open_chat(key="")
    press, focused = chat.page.keyboard.press, chat.page.locator(":focus")
    chat.page.keyboard.type(Chat.KEY)
    press("Enter")
    expect(chat.question).to_be_focused()
    chat.page.keyboard.type(QUESTION)
    press("Tab")
    chat.page.keyboard.type("Ada Quill")
    press("Shift+Tab")
    press("Enter")
    chat.complete()
    expect(chat.turn).to_contain_text("Only documents by Ada Quill")
    expect(chat.question).to_be_focused()
    for _ in range(MOST_STOPS):
        press("Shift+Tab")
        assert focused.evaluate("node => getComputedStyle(node).outlineStyle") == "solid", "focus cannot be seen"
        if focused.get_attribute("aria-label") == "Source 1: Health checks":
            break
    source = chat.turn.locator("details.source")
    expect(source).to_have_count(1)
    expect(source).not_to_have_attribute("open", "")
    press("Enter")
    expect(source).to_have_attribute("open", "")
    expect(source.locator("summary")).to_be_focused()
    expect(source.locator("summary")).to_have_text(re.compile("1.*Health checks.*Ada Quill · article"))
    expect(source.locator("dl")).to_contain_text(re.compile(r"Score-?\d+\.\d{3}"))
    press("Tab")
    link = source.get_by_role("link", name="Read it at ada.example (opens a new tab)")
    expect(link).to_be_focused()
    expect(link).to_have_attribute("href", "https://ada.example/h")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_a_follow_up_sends_the_turns_before_it(chat: Chat, model: Model) -> None:
    chat.ask()
    chat.complete()
    model.pieces = ["A day."]
    chat.page.reload()
    chat.ask("And how long is that?")
    expect(chat.answer).to_have_text("A day.")
    _, *earlier, last = model.invocations[-1]["messages"]
    assert earlier == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "The timeout covers the weights."},
    ]
    assert "And how long is that?" in last["content"]
    chat.complete()
    chat.button("New conversation").click()
    chat.ask("Who are you?")
    chat.complete()
    assert len(model.invocations[-1]["messages"]) == 2


def test_the_conversation_survives_a_reload_until_a_new_one_begins(chat: Chat) -> None:
    for question in (QUESTION, "And then?"):
        chat.ask(question)
        chat.complete()
    chat.page.reload()
    expect(chat.turns).to_have_count(2)
    expect(chat.turns.first).to_contain_text(QUESTION)
    expect(chat.turns.first).to_contain_text("The timeout covers the weights.")
    expect(chat.turns.first.locator("details.source").first).to_be_visible()
    chat.button("New conversation").click()
    expect(chat.turns).to_have_count(0)
    expect(chat.page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    chat.page.reload()
    expect(chat.question).to_be_focused()
    expect(chat.turns).to_have_count(0)


def test_stop_ends_the_answer_and_the_model(chat: Chat, model: Model) -> None:
    model.waits = True
    model.pieces = ["The timeout ", *["is never read "] * 400]
    chat.ask()
    model.cue()
    expect(chat.answer).to_have_text("The timeout")
    chat.button("Stop").click()
    expect(chat.notice).to_contain_text("You stopped this answer.")
    expect(chat.answer).to_have_text("The timeout")
    expect(chat.button("Send")).to_be_visible()
    # One piece at a time: all at once they could be written before the end of the connection reaches the model.
    for _ in range(399):
        model.cue()
        if model.aborted.wait(0.05):
            break
    assert model.aborted.is_set()
    model.reset()
    chat.notice.get_by_role("button", name="Try again").click()
    chat.complete()
    expect(chat.answer).to_have_text("The timeout covers the weights.")
    expect(chat.turns).to_have_count(1)


def test_copy_puts_the_answer_on_the_clipboard(open_chat: Callable[..., Chat], model: Model) -> None:
    chat = open_chat(permissions=["clipboard-read", "clipboard-write"])
    model.pieces = ["It is **long**."]
    chat.ask()
    chat.complete()
    chat.button("Copy answer").click()
    expect(chat.announcer).to_have_text("Answer copied.")
    assert chat.page.evaluate("navigator.clipboard.readText()") == "It is **long**."
