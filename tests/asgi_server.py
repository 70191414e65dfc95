"""ASGI applications on a thread of their own, over real sockets."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from localcloud.ports import free_port

START_SECONDS = 60
STOP_SECONDS = 30


@contextlib.contextmanager
def serving(
    app: Any,
    environment: Mapping[str, str] | None = None,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    **options: Any,
) -> Iterator[str]:
    """Serve an application on a free loopback port, over TLS with a certificate and its key; gives its address.

    `options` are uvicorn's. The process's environment is changed while the application starts only: other suites have
    theirs.
    """
    port = free_port()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the application did not start"
            time.sleep(0.02)
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        assert not thread.is_alive()
