"""What surrounds a Lambda function in tests: the AWS emulator over a real socket, its environment and its context."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcloud.ports import free_port
from tests.aws import CREDENTIALS, SERVER

OPIK_CONSTANTS = {
    "OPIK_SENTRY_ENABLE": "false",
    "OPIK_ANALYTICS_ENABLE": "false",
    "OPIK_DEFAULT_FLUSH_TIMEOUT": "5",
    "OPIK_LOG_START_TRACE_SPAN": "false",
}
START_SECONDS = 40.0


@contextmanager
def process(module: str, folder: Path, health: str) -> Iterator[str]:
    """One process of the local cloud, ready; stopped at the end."""
    port = free_port()
    command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port), "--data", str(folder)]
    log = (folder / "process.log").open("wb")
    running = subprocess.Popen(command, env={**os.environ, **SERVER}, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url + health):
            assert running.poll() is None, (folder / "process.log").read_text()
            assert time.monotonic() < deadline, f"{module} did not become ready"
            time.sleep(0.1)
        yield url
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        log.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="session")
def base_environment() -> Iterator[None]:
    """What the platform gives a Lambda, and the SDK's constants, which it reads when it is imported."""
    platform = {
        **CREDENTIALS.variables(),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        **OPIK_CONSTANTS,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in platform.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "HTTP_PROXY", "http_proxy"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def aws(base_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        process("localcloud.emulator", tmp_path_factory.mktemp("aws"), "/_ministack/health") as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield url


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


class LambdaContext:
    """Lambda's context object, as far as the handlers use it."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._deadline = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._deadline - time.monotonic()) * 1000)


@pytest.fixture
def lambda_context() -> Callable[[float], LambdaContext]:
    return LambdaContext
