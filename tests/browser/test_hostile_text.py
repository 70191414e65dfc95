"""Texts of strangers on the pages, in a real browser: questions, answers, documents and traces run nothing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.responses import HTMLResponse

from tests.asgi_server import serving
from tests.attack_figures import Tally, size
from tests.attacks.hostile_text import SCRIPT, TEXTS, executed, texts
from tests.browser.chat import Chat
from tests.browser.collector import id_at
from tests.browser.servers import Model
from tests.integration.opik.conftest import Collector

COUNT = size(24, 400)
AT_ONCE = 4
"""Texts in one answer: an answer takes longer than a text."""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a collector process."""
    running = Collector(tmp_path_factory.mktemp("collector"))
    running.start()
    yield running.url
    running.stop()


def look(page: Page, texts_shown: list[str], started: float, tally: Tally, where: str = "main") -> None:
    """Count texts that a part of a page shows."""
    wrong = executed(page, where)
    for text in texts_shown:
        tally.count(text, time.monotonic() - started, fault=f"{page.url}: {wrong[0]}" if wrong else None)


def test_questions_and_answers_run_nothing(chat: Chat, model: Model, tally: Tally) -> None:
    given = texts(COUNT)
    for start in range(0, COUNT, AT_ONCE):
        some = given[start : start + AT_ONCE]
        model.pieces = [f"{text}\n\n" for text in some]
        started = time.monotonic()
        chat.ask(" ".join(some).replace("\n", " ")[:2_000])
        chat.complete()
        look(chat.page, some, started, tally, "article")
    tally.verify()


def test_traces_run_nothing(new_page: Callable[..., Page], collector: str, tally: Tally) -> None:
    given = texts(COUNT)
    now = datetime.now(UTC)
    traces = [
        {
            "id": id_at(now, number),
            "name": text,
            "project_name": "twin",
            "start_time": now.isoformat(),
            "end_time": now.isoformat(),
            "input": {"query": text, text: text},
            "output": {"answer": text},
            "tags": [text],
            "metadata": {"model_id": text},
            "error_info": {"exception_type": text, "message": text, "traceback": text},
        }
        for number, text in enumerate(given)
    ]
    httpx.post(f"{collector}/api/v1/private/traces/batch", json={"traces": traces}, timeout=60).raise_for_status()
    page = new_page(collector)
    for trace, text in zip(traces, given, strict=True):
        started = time.monotonic()
        page.goto(f"/traces/{trace['id']}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Trace")
        look(page, [text], started, tally)
    for text in given[: len(TEXTS)]:
        started = time.monotonic()
        page.goto(f"/?text={quote(text)}&name={quote(text)}&order={quote(text)}")
        look(page, [text], started, tally)
    tally.verify()


def test_a_page_that_takes_text_for_markup_would_be_found(browser: Browser) -> None:
    found = Tally("harness")
    context = browser.new_context()
    for number, text in enumerate(TEXTS[:3]):
        with serving(HTMLResponse(f"<main>{text}</main>")) as url:
            page = context.new_page()
            page.goto(f"{url}/{uuid.uuid4()}")
            look(page, [text], 0.0, found)
        assert len(found.wrong) == number + 1, text
        page.close()
    page = context.new_page()
    page.set_content(f'<main><a href="javascript:{SCRIPT}">link</a></main>')
    look(page, ["link"], 0.0, found)
    assert "javascript:" in found.wrong[-1]
    context.close()
