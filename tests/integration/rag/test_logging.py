"""What the service says to its log, and what it never says."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.common.logging import KEPT_FILES, MAX_FILE_BYTES, configure_logging
from tests.integration.rag.conftest import World, eventually
from tests.integration.rag.fakes import ANSWER, KEY
from tests.integration.rag.test_answers import QUESTION

ROOT = Path(__file__).parents[3]
MARKER = "zebra-crossing-17"
CONCERNS = {"api", "retrieval", "llm", "ingest", "evaluation", "security"}


@pytest.fixture
def log(world: World, tmp_path: Path) -> Iterator[Path]:
    """The service's log file, with logging as the command sets it up; undone at the end."""
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    level, others = root.level, root.handlers
    root.handlers, access.disabled = [], True
    file = tmp_path / "rag.log"
    with contextlib.redirect_stdout(io.StringIO()):
        configure_logging(file=file)
    made, root.handlers = root.handlers, others  # the same list as before: pytest takes its own out of it
    for handler in made:
        root.addHandler(handler)
    yield file
    for handler in made:
        root.removeHandler(handler)
        handler.close()
    access.disabled = False
    root.setLevel(level)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def of(log: Path, request_id: str) -> list[dict[str, Any]]:
    """The lines of one request, once the last of them is there."""

    def look() -> list[dict[str, Any]]:
        found = [line for line in lines(log) if line.get("request_id") == request_id]
        return found if found and found[-1]["message"] == "request" else []

    return eventually(look)


@pytest.mark.parametrize("stream", [True, False])
def test_a_question_leaves_two_lines_with_both_ids(world: World, log: Path, stream: bool) -> None:
    with world.client() as client:
        answer = client.post(
            "/rag", json={"query": QUESTION, "stream": stream}, headers={"X-Request-Id": f"log-{stream}"}
        )
    found = of(log, f"log-{stream}")
    assert [(line["logger"], line["message"], line["level"]) for line in found] == [
        ("llm", "question answered", "INFO"),
        ("api", "request", "INFO"),
    ]
    assert {line["trace_id"] for line in found} == {answer.headers["X-Trace-Id"]}
    assert found[0]["outcome"] == "ok" and found[0]["steps"]["call_llm_service"] > 0
    request = found[1]
    assert (request["method"], request["path"], request["status"]) == ("POST", "/rag", 200)
    assert request["key_name"] == "tests" and request["duration_ms"] > 0
    assert request["time"].endswith("+00:00")


def test_each_concern_speaks_with_its_own_logger(world: World, log: Path) -> None:
    with world.client("wrong") as client:
        client.post("/rag", json={"query": QUESTION}, headers={"X-Request-Id": "no-key"})
    world.qdrant.down = True
    with world.client() as client:
        client.post(
            "/rag",
            json={"query": QUESTION, "allow_without_context": True},
            headers={"X-Request-Id": "no-store"},
        )
        world.opik.down = True
        feedback = {"trace_id": str(uuid.uuid4()), "score": 1}
        client.post("/feedback", json=feedback, headers={"X-Request-Id": "no-opik"})
    assert [line["logger"] for line in of(log, "no-key")] == ["security", "api"]
    assert {"retrieval", "llm", "api"} <= {line["logger"] for line in of(log, "no-store")}
    assert of(log, "no-opik")[0]["logger"] == "api"
    assert "evaluation" in {line["logger"] for line in lines(log)}
    assert {line["logger"].partition(".")[0] for line in lines(log)} <= CONCERNS | {"opik"}


def test_neither_prompts_nor_answers_nor_keys_are_logged(world: World, log: Path) -> None:
    said = f"{QUESTION} {MARKER}"
    chat = [
        {"role": "system", "content": MARKER},
        {"role": "user", "content": MARKER},
        {"role": "assistant", "content": MARKER},
        {"role": "user", "content": said},
    ]
    bodies: list[tuple[str, Any]] = [
        ("/rag", {"query": said}),
        ("/rag", {"query": said, "stream": True, "author": MARKER}),
        ("/rag", {"query": said, "enable_rag": MARKER}),
        ("/rag", {"query": said * 200}),
        ("/rag", {"query": said, MARKER: 1}),
        ("/v1/chat/completions", {"messages": chat}),
        ("/v1/chat/completions", {"messages": chat, "stream": True, "stop": MARKER, "user": MARKER}),
        ("/v1/chat/completions", {"messages": [{"role": MARKER, "content": MARKER}]}),
        ("/feedback", {"trace_id": MARKER, "score": 1, "reason": MARKER}),
        ("/feedback", {"trace_id": str(uuid.uuid4()), "score": 1, "reason": MARKER}),
    ]
    with world.client() as client:
        for mode in ("ok", "model_error", "break", "stream_error", "throttled"):
            world.cloud.mode = mode
            for path, body in bodies:
                client.post(path, json=body)
        client.post("/rag", content=f'{{"query": "{MARKER}'.encode())
        world.qdrant.down = True
        for path, body in bodies:
            client.post(path, json=body)
        client.get(f"/v1/models?key={MARKER}")
        client.get(f"/v1/models/{KEY}")
    with world.client(f"wrong-{MARKER}") as client:
        client.post("/rag", json={"query": said}, headers={"X-Request-Id": "last"})
    of(log, "last")
    text = log.read_text(encoding="utf-8")
    assert text.count('"message": "request"') >= 6 * len(bodies)
    for secret in (MARKER, QUESTION, KEY, ANSWER, "weights load slowly"):
        assert secret not in text


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        (f"/rag/{KEY}", "/rag/*"),
        (f"/{KEY}/v1/chat/completions", "/*/v1/chat/completions"),
        (f"/v1/models/{KEY}", "/v1/models/*"),
        (f"/{MARKER}%20{KEY}", "/*"),
        ("/v1/v1/models", "/v1/v1/models"),
    ],
)
@pytest.mark.parametrize("key", [KEY, "wrong"])
def test_a_key_in_an_address_is_not_logged(world: World, log: Path, path: str, logged: str, key: str) -> None:
    with world.client(key) as client:
        client.get(path, headers={"X-Request-Id": "address"})
    found = of(log, "address")
    assert {line["path"] for line in found if "path" in line} == {logged}
    assert KEY not in log.read_text(encoding="utf-8") and MARKER not in log.read_text(encoding="utf-8")


def test_the_log_file_is_rotated_and_standard_output_has_it_all(tmp_path: Path) -> None:
    script = """
import logging, sys
from pathlib import Path
from services.common.logging import configure_logging
configure_logging(file=Path(sys.argv[1]))
for number in range(12):
    logging.getLogger("ingest").info("line", extra={"number": number, "pad": "x" * 1_000_000})
logging.getLogger("httpx").info("GET http://example.invalid/?key=secret")
logging.getLogger("api").debug("detail")
"""
    file = tmp_path / "rag.log"
    done = subprocess.run([sys.executable, "-c", script, file], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["number"] for line in printed] == list(range(12))
    files = sorted(tmp_path.iterdir())
    assert [found.name for found in files] == ["rag.log", "rag.log.1"]
    assert all(found.stat().st_size <= MAX_FILE_BYTES for found in files) and len(files) <= KEPT_FILES + 1
    kept = [json.loads(line)["number"] for found in files for line in found.read_text().splitlines()]
    assert sorted(kept) == list(range(12))
