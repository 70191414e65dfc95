"""The chat page, found as its user finds it: by role and name."""

from __future__ import annotations

import re
from typing import ClassVar

from playwright.sync_api import Locator, Page, expect

from tests.integration.rag.fakes import KEY as SERVICE_KEY

QUESTION = "Why is the health check timeout long?"


class Chat:
    """Locators and actions of the chat page."""

    KEY: ClassVar[str] = SERVICE_KEY

    def __init__(self, page: Page) -> None:
        self.page = page
        self.question = page.get_by_role("textbox", name="Your question")
        self.key = page.get_by_role("textbox", name="Key", exact=True)
        self.dialog = page.get_by_role("dialog", name="API key")
        self.turns = page.get_by_role("article")
        self.announcer = page.locator("#announcer")

    @classmethod
    def opened(cls, page: Page, key: str) -> Chat:
        """The page after loading, and after the key was given when there is one."""
        chat = cls(page)
        page.goto("/")
        expect(chat.key).to_be_focused()
        if key:
            chat.enter_key(key)
        return chat

    @property
    def turn(self) -> Locator:
        return self.turns.last

    @property
    def answer(self) -> Locator:
        return self.turn.locator(".answer")

    @property
    def notice(self) -> Locator:
        return self.turn.locator(".notice")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def enter_key(self, key: str) -> None:
        self.key.fill(key)
        self.key.press("Enter")
        expect(self.dialog).to_be_hidden()

    def ask(self, question: str = QUESTION) -> None:
        self.question.fill(question)
        self.question.press("Enter")

    def complete(self) -> None:
        """Wait until the last answer is complete."""
        expect(self.turn.get_by_role("button", name="Good answer")).to_be_visible()
