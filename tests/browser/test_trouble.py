"""Failures in the page: a model that sleeps or breaks, keys that are wrong or used up, hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.chat import QUESTION, Chat
from tests.browser.servers import SLOW_KEY, Model, ScriptedService

REQUEST_ID = re.compile(r"Request [0-9a-f-]{36}")


def test_a_model_that_sleeps_is_waited_for_with_word_of_it(chat: Chat, model: Model) -> None:
    model.mode = "no_capacity"
    chat.ask()
    expect(chat.turn).to_contain_text("The model is waking up")
    expect(chat.turn).to_contain_text("Your question is kept")
    expect(chat.announcer).to_contain_text("The model is waking up")
    model.mode = "ok"
    chat.complete()
    expect(chat.turn.locator(".progress")).to_be_hidden()


def test_an_error_names_its_request_and_keeps_the_question(chat: Chat, model: Model) -> None:
    model.mode = "not_found"
    chat.ask()
    expect(chat.notice).to_contain_text("does not exist")
    expect(chat.notice).to_contain_text(REQUEST_ID)
    chat.page.reload()
    expect(chat.turn.get_by_role("heading", name=QUESTION)).to_be_visible()
    expect(chat.notice).to_contain_text(REQUEST_ID)
    model.mode = "ok"
    chat.notice.get_by_role("button", name="Try again").click()
    chat.complete()
    expect(chat.notice).to_have_count(0)
    expect(chat.turns).to_have_count(1)


def test_what_was_written_before_the_model_broke_stays(chat: Chat, model: Model) -> None:
    model.breaks_at = 1
    chat.ask()
    expect(chat.notice).to_contain_text(REQUEST_ID)
    expect(chat.answer).to_have_text("The timeout")
    expect(chat.button("Good answer")).to_have_count(0)


def test_a_refusal_says_when_to_ask_again(chat: Chat, model: Model) -> None:
    model.mode = "throttled"
    chat.ask()
    expect(chat.notice).to_contain_text(REQUEST_ID)
    expect(chat.notice).to_contain_text("You can try again")


def test_an_error_in_a_stream_says_when_to_ask_again(
    open_scripted_chat: Callable[..., Chat], scripted: ScriptedService
) -> None:
    chat = open_scripted_chat()
    error = {"code": "retrieval_unavailable", "message": "The store is away.", "retry_after_seconds": 60}
    scripted.play(("status", {"state": "retrieving"}), ("error", {"error": error}))
    chat.ask()
    expect(chat.notice).to_contain_text("The store is away.")
    expect(chat.notice.locator(".wait")).to_contain_text("You can try again in")
    expect(chat.notice.get_by_role("button", name="Try again")).to_be_disabled()


def test_a_connection_that_ends_early_is_no_answer(
    open_scripted_chat: Callable[..., Chat], scripted: ScriptedService
) -> None:
    chat = open_scripted_chat()
    scripted.play(("token", {"text": "The timeout "}))
    chat.ask()
    expect(chat.answer).to_have_text("The timeout")
    scripted.end()
    expect(chat.notice).to_contain_text("The connection broke before the answer was complete.")


def test_a_wrong_key_is_asked_for_again_and_the_question_goes_on(open_chat: Callable[..., Chat]) -> None:
    chat = open_chat(key="wrong-key")
    chat.ask()
    expect(chat.dialog).to_contain_text("The service does not know this key.")
    expect(chat.key).to_be_focused()
    chat.enter_key(Chat.KEY)
    chat.complete()
    expect(chat.answer).to_have_text("The timeout covers the weights.")
    chat.button("API key").click()
    chat.button("Forget key").click()
    expect(chat.announcer).to_have_text("The key is forgotten.")
    chat.page.reload()
    expect(chat.dialog).to_be_visible()


def test_a_question_without_a_key_says_so(open_chat: Callable[..., Chat], model: Model) -> None:
    chat = open_chat(key="")
    chat.page.keyboard.press("Escape")
    chat.ask()
    expect(chat.dialog).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.notice).to_contain_text("An API key is needed to ask.")
    expect(chat.turn.get_by_role("heading", name=QUESTION)).to_be_visible()
    assert model.invocations == []


def test_a_key_that_is_used_up_counts_down(open_chat: Callable[..., Chat]) -> None:
    chat = open_chat(key=SLOW_KEY)
    chat.ask()
    chat.complete()
    chat.ask("And then?")
    expect(chat.notice).to_contain_text("This key may send 1 requests per minute")
    expect(chat.notice).to_contain_text(re.compile(r"You can try again in \d+ s"))
    expect(chat.notice.get_by_role("button", name="Try again")).to_be_disabled()


def test_hostile_text_is_only_text(chat: Chat, model: Model) -> None:
    attack = "<script>alert(3)</script><img src=x onerror=alert(4)> [click](javascript:alert(5)) [1] [2]"
    model.pieces = [attack]
    chat.ask()
    chat.complete()
    expect(chat.answer).to_contain_text("<script>alert(3)</script><img src=x onerror=alert(4)>")
    expect(chat.answer.locator("a, img, script")).to_have_count(0)
    evil = chat.turn.locator("details.source", has_text="Ben Marsh")
    expect(evil.locator(".source-title")).to_have_text("<img src=x onerror=alert(1)> timeout")
    evil.locator("summary").click()
    expect(evil).to_have_attribute("open", "")
    expect(evil.get_by_role("link")).to_have_count(0)
    expect(chat.turn.get_by_role("link", include_hidden=True)).to_have_count(1)


def test_what_another_page_left_in_the_tab_is_no_conversation(chat: Chat) -> None:
    chat.page.evaluate("sessionStorage.setItem('llm-twin.conversation', '[{\"question\": 1}]')")
    chat.page.reload()
    expect(chat.question).to_be_focused()
    expect(chat.turns).to_have_count(0)
