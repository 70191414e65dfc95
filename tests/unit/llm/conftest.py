from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from scripts.build_embedding_model import build
from services.llm.app import create_app
from services.llm.engines.base import Engine, Event, Piece
from services.llm.engines.extractive import ExtractiveEngine
from services.llm.schemas import ChatRequest, Message

Serve = Callable[[FastAPI], AbstractContextManager[str]]


class EndlessEngine:
    """Streams for ever, fails on demand, and records whether its stream was closed."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.closed = threading.Event()

    async def load(self) -> None:
        while not self.ready.is_set():  # noqa: ASYNC110 - set from the test's thread
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        self.ready.set()

    def tokens(self, text: str | Sequence[Message]) -> list[int] | None:
        return None

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield Piece("more ")
                if request.last_user_text == "crash":
                    raise RuntimeError("secret detail")
                await asyncio.sleep(0.01)
        finally:
            self.closed.set()


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def wait_until_loaded(url: str) -> None:
    deadline = time.monotonic() + 20
    while httpx.get(f"{url}/ping").status_code != 200:
        assert time.monotonic() < deadline, "the engine did not load"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def serving() -> Callable[[Engine], AbstractContextManager[str]]:
    @contextmanager
    def start(engine: Engine) -> Iterator[str]:
        with serve(create_app(engine, "model-under-test")) as url:
            wait_until_loaded(url)
            yield url

    return start


@pytest.fixture(scope="session")
def serving_app() -> Serve:
    return serve


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("llm") / "model")


@pytest.fixture(scope="session")
def extractive(model_dir: Path, serving: Callable[[Engine], AbstractContextManager[str]]) -> Iterator[str]:
    with serving(ExtractiveEngine(model_dir, 0.001)) as url:
        yield url


@pytest.fixture
def endless() -> EndlessEngine:
    return EndlessEngine()
