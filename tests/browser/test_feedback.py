"""Feedback on an answer reaches that answer's trace."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.servers import Service


def _recorded(chat: Chat, service: Service) -> str:
    """The trace id of the last answer, once monitoring holds it: before that it may not be connected yet."""
    facts = chat.turn.locator(".measurements")
    facts.locator("summary").click()
    trace = facts.locator("dt", has_text="Trace").locator("xpath=following-sibling::dd").inner_text()
    service.opik.wait_for(trace, 60)
    return trace


def test_thumbs_score_the_trace_of_the_answer(chat: Chat, service: Service) -> None:
    chat.ask()
    chat.complete()
    trace = _recorded(chat, service)

    def given() -> list[tuple[float, str | None]]:
        return [(score["value"], score.get("reason")) for score in service.opik.scores if score["id"] == trace]

    chat.button("Good answer").click()
    expect(chat.turn.locator(".verdict")).to_have_text("Thank you.")
    expect(chat.button("Good answer")).to_have_attribute("aria-pressed", "true")
    assert given() == [(1, None)]
    chat.button("Bad answer").click()
    reason = chat.page.get_by_role("textbox", name="What was wrong?")
    reason.fill("It is about something else.")
    reason.press("Enter")
    expect(chat.turn.locator(".verdict")).to_have_text("Thank you.")
    assert given() == [(1, None), (0, None), (0, "It is about something else.")]
    chat.page.reload()
    expect(chat.button("Bad answer")).to_have_attribute("aria-pressed", "true")
    expect(chat.button("Good answer")).to_have_attribute("aria-pressed", "false")


def test_feedback_that_does_not_arrive_is_not_shown_as_given(chat: Chat) -> None:
    chat.ask()
    chat.complete()
    chat.page.route("**/feedback", lambda route: route.abort())
    chat.button("Good answer").click()
    expect(chat.turn.locator(".verdict")).to_have_text("The feedback was not saved: The service cannot be reached.")
    expect(chat.button("Good answer")).to_have_attribute("aria-pressed", "false")
