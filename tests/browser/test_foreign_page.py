"""A page of another origin in a real browser against the local servers: it changes nothing and reads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.asgi_server import serving
from tests.aws import signed
from tests.lambda_surroundings import process

PROGRAMS = {
    "localcloud.emulator": "/_ministack/health",
    "localcloud.opik": "/api/is-alive/ping",
    "localcloud.sink": "/healthz",
    "localcloud.qdrant": "/readyz",
}
CREATE_QUEUE = "Action=CreateQueue&QueueName=of-a-page&Version=2012-11-05"
LIST_QUEUES = "Action=ListQueues&Version=2012-11-05"
# What a page may send to another origin without asking it first, in each way that a browser offers.
BLINDLY = """async ([url, body]) => {
  const type = "application/x-www-form-urlencoded";
  await fetch(url, {method: "POST", mode: "no-cors", headers: {"Content-Type": type}, body}).catch(() => {});
  navigator.sendBeacon(url, new Blob([body], {type}));
  await new Promise((done) => {
    const image = new Image();
    image.onload = image.onerror = done;
    image.src = `${url}?${body}`;
  });
}"""
READ = """async (url) => {
  try { return `read: ${(await (await fetch(url)).text()).slice(0, 40)}`; } catch (error) { return "refused"; }
}"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        yield {
            module: stack.enter_context(process(module, tmp_path_factory.mktemp("server"), health))
            for module, health in PROGRAMS.items()
        }


@pytest.fixture
def foreign_page(browser: Browser) -> Iterator[Page]:
    """A page of a server on another port, which for a browser is another origin."""

    async def home(_: object) -> HTMLResponse:
        return HTMLResponse("<title>Foreign</title>")

    context = browser.new_context()
    with serving(Starlette(routes=[Route("/", home)])) as url:
        page = context.new_page()
        page.goto(url)
        yield page
    context.close()


def call(url: str, form: str) -> str:
    """The answer to a signed call of SQS, as text."""
    headers = signed("sqs", "POST", f"{url}/", form.encode())
    answer = httpx.post(f"{url}/", content=form.encode(), headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_page_cannot_make_the_emulator_do_anything(foreign_page: Page, servers: dict[str, str]) -> None:
    url = servers["localcloud.emulator"]
    foreign_page.evaluate(BLINDLY, [f"{url}/", CREATE_QUEUE])
    assert "of-a-page" not in call(url, LIST_QUEUES)
    # The same call by a program with the key: it is the page that was refused, not the call.
    call(url, CREATE_QUEUE)
    assert "of-a-page" in call(url, LIST_QUEUES)


def test_a_form_of_a_page_that_navigates_to_the_emulator_is_refused(
    foreign_page: Page, servers: dict[str, str]
) -> None:
    url = servers["localcloud.emulator"]
    foreign_page.set_content(
        f'<form method="post" action="{url}/"><input name="Action" value="CreateQueue">'
        '<input name="QueueName" value="of-a-form"><input name="Version" value="2012-11-05"></form>'
    )
    with foreign_page.expect_navigation() as navigation:
        foreign_page.evaluate("document.forms[0].submit()")
    assert navigation.value is not None and navigation.value.status == 403
    assert "of-a-form" not in call(url, LIST_QUEUES)


@pytest.mark.parametrize("module", sorted(PROGRAMS))
def test_a_page_reads_no_answer(foreign_page: Page, servers: dict[str, str], module: str) -> None:
    assert foreign_page.evaluate(READ, servers[module] + PROGRAMS[module]) == "refused"


def test_a_page_leaves_no_message_in_the_sink(foreign_page: Page, servers: dict[str, str]) -> None:
    url = servers["localcloud.sink"]
    foreign_page.evaluate(BLINDLY, [f"{url}/slack/alerts", '{"text": "from a page"}'])
    assert httpx.get(f"{url}/messages", timeout=30).json()["messages"] == []


def test_a_link_from_another_page_still_opens_the_collector(foreign_page: Page, servers: dict[str, str]) -> None:
    foreign_page.set_content(f'<a href="{servers["localcloud.opik"]}/">traces</a>')
    with foreign_page.expect_navigation() as navigation:
        foreign_page.click("a")
    assert navigation.value is not None and navigation.value.status == 200


def test_the_collector_is_not_shown_inside_another_page(foreign_page: Page, servers: dict[str, str]) -> None:
    with foreign_page.expect_response(lambda response: response.url.startswith(servers["localcloud.opik"])) as framed:
        foreign_page.set_content(f'<iframe src="{servers["localcloud.opik"]}/"></iframe>')
    assert framed.value.status == 403
