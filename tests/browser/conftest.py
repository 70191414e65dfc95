"""Fixtures of the browser tests: the browser, the servers, and pages that report errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.asgi_server import serving
from tests.browser.chat import Chat
from tests.browser.servers import Model, ScriptedService, Service, rag_service
from tests.programs import CHROMIUM, path_of
from tests.worker_groups import share_worker

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages of the browser's own for its address bar, made anew for each context: a third of all its work.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup",
)
TIMEOUT_MS = 15_000

DOCUMENTS = {
    "articles/ada-quill/health.md": '---\ntitle: "Health checks"\nauthor: Ada Quill\nurl: https://ada.example/h\n---\n'
    "# Health checks\nThe health check timeout is long because the weights load slowly.\n",
    "posts/ben-marsh/evil.md": '---\ntitle: "<img src=x onerror=alert(1)> timeout"\nauthor: Ben Marsh\n'
    "url: javascript:alert(2)\n---\nA timeout that is long is a health check timeout.\n",
}

# The page reports to the console what its policy blocks; this says it in words of our own, whatever the browser's are.
REPORT_VIOLATIONS = """document.addEventListener("securitypolicyviolation",
  (event) => console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    share_worker(items, Path(__file__).parent)


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> str:
    """Path of the browser."""
    return path_of(CHROMIUM, pytestconfig)


# Package, not session: while Playwright's synchronous interface is up, no other test of this process may run a loop.
@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    corpus = tmp_path_factory.mktemp("corpus")
    for name, text in DOCUMENTS.items():
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_text(text, encoding="utf-8")
    with rag_service(corpus, tmp_path_factory.mktemp("scratch")) as running:
        yield running


@pytest.fixture(scope="package")
def scripted_server() -> Iterator[tuple[str, ScriptedService]]:
    scripted = ScriptedService()
    with serving(scripted.app) as url:
        yield url, scripted


# After the servers: filling the store needs an event loop, and there can be none beside Playwright's.
@pytest.fixture(scope="package")
def browser(chromium: str, service: Service, scripted_server: tuple[str, ScriptedService]) -> Iterator[Browser]:
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def model(service: Service) -> Iterator[Model]:
    """The model behind the real service, reset; pieces that wait for a cue are sent when the test ends."""
    service.model.reset()
    service.model.aborted.clear()
    service.model.invocations.clear()
    yield service.model
    service.model.cue(1000)


@pytest.fixture
def scripted(scripted_server: tuple[str, ScriptedService]) -> Iterator[ScriptedService]:
    """The scripted service, reset."""
    scripted_server[1].reset()
    yield scripted_server[1]
    scripted_server[1].end()


@pytest.fixture(scope="package")
def context_for(browser: Browser) -> Callable[..., BrowserContext]:
    """One context per kind of device: what a page keeps lives in its tab, and each test has tabs of its own."""
    contexts: dict[str, BrowserContext] = {}

    def context(**options: object) -> BrowserContext:
        kind = json.dumps(options, sort_keys=True)
        if kind not in contexts:
            # Without motion: painting it takes the time of the tests.
            contexts[kind] = browser.new_context(reduced_motion="reduce", **options)  # type: ignore[arg-type]
            contexts[kind].set_default_timeout(TIMEOUT_MS)
            contexts[kind].add_init_script(REPORT_VIOLATIONS)
        return contexts[kind]

    return context


@pytest.fixture
def new_page(context_for: Callable[..., BrowserContext]) -> Iterator[Callable[..., Page]]:
    """Opens pages; when the test ends, none may have had an error, a policy violation or a request to another host."""
    problems: list[str] = []
    pages: list[Page] = []

    def watch(message: ConsoleMessage) -> None:
        # An answer such as 401 is logged by the browser as an error; it is what the test is about.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            problems.append(message.text)

    def open_page(url: str, **options: object) -> Page:
        page = context_for(base_url=url, **options).new_page()
        pages.append(page)
        page.on("console", watch)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        host = urlsplit(url).netloc
        page.on("request", lambda request: _same_host(request.url, host, problems))
        return page

    yield open_page
    for page in pages:
        page.close()
    assert problems == []


def _same_host(url: str, host: str, problems: list[str]) -> None:
    if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != host:
        problems.append(f"request to {url}")


@pytest.fixture
def open_chat(new_page: Callable[..., Page], service: Service, model: Model) -> Callable[..., Chat]:
    """Opens the real service's page, with the key entered unless `key` is empty."""
    return lambda key=Chat.KEY, **options: Chat.opened(new_page(service.url, **options), key)


@pytest.fixture
def chat(open_chat: Callable[..., Chat]) -> Chat:
    """The real service's page, with the key entered."""
    return open_chat()


@pytest.fixture
def open_scripted_chat(
    new_page: Callable[..., Page], scripted_server: tuple[str, ScriptedService], scripted: ScriptedService
) -> Callable[..., Chat]:
    """Opens the scripted service's page, with the key entered."""
    return lambda **options: Chat.opened(new_page(scripted_server[0], **options), Chat.KEY)
