"""Documents that take too long or too much, and the process that reads them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.documents import IngestError, Unreadable
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.limits import MAX_CHUNK_CHARS, MAX_CHUNKS, MAX_TEXT_CHARS, MEBIBYTE, Limits
from services.rag.ingest.reader import Given, read_path
from services.rag.ingest.run import IngestReport, ingest
from services.rag.stores.qdrant import QdrantStore
from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import DIMENSION, WordEmbedder

LIMITS = Limits(seconds=1.5, memory_bytes=32 * MEBIBYTE)
ROOT = Path(__file__).parents[3]
# An ordinary page with many small elements: 3 MiB take about 15 s and 500 MB.
PARAGRAPH = "<p>a <b>b</b> c</p>"


def page(size: int) -> str:
    return f"<title>Dense</title><main>{PARAGRAPH * (size // len(PARAGRAPH))}</main>"


@pytest.fixture
def isolated() -> Iterator[Isolated]:
    with Isolated(LIMITS) as found:
        yield found


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


async def run(qdrant: Qdrant, tree: Path, limits: Limits) -> IngestReport:
    pool = CpuPool(WordEmbedder(), 1)
    store = QdrantStore(qdrant.url, embedding_model_id=pool.model_id, dimension=DIMENSION, tenant="default")
    try:
        return await ingest(tree, store, pool, limits=limits)
    finally:
        await store.close()
        pool.close()


@pytest.mark.parametrize(
    ("limits", "large", "reason"),
    [
        (Limits(1.5, 1024 * MEBIBYTE), page(3 * MEBIBYTE), "took longer than 1.5 s"),
        (Limits(60, 3 * MEBIBYTE), "words " * 800_000, "needs more than 3 MB of memory"),
    ],
    ids=["time", "memory"],
)
async def test_a_document_beyond_a_limit_is_skipped_and_what_is_stored_of_it_stays(
    tmp_path: Path, limits: Limits, large: str, reason: str
) -> None:
    qdrant = Qdrant()
    try:
        first = {"articles/ada/a.html": page(200), "articles/ada/b.md": "# B\nBefore."}
        assert (await run(qdrant, write(tmp_path, first), limits)).added == 2
        write(tmp_path, {"articles/ada/a.html": large, "articles/ada/b.md": "# B\nAfter."})
        report = await run(qdrant, write(tmp_path, {"articles/ada/c.md": "# C\nNew."}), limits)
        assert [(found.id, found.reason) for found in report.skipped] == [("articles/ada/a.html", reason)]
        assert (report.added, report.updated, report.removed, report.chunks_removed) == (1, 1, 0, 0)
        texts = {point["payload"]["document_id"]: point["payload"]["text"] for point in _points(qdrant)}
        assert texts.keys() == {"articles/ada/a.html", "articles/ada/b.md", "articles/ada/c.md"}
        assert "After." in texts["articles/ada/b.md"]
    finally:
        qdrant.stop()


def _points(qdrant: Qdrant) -> list[dict[str, dict[str, str]]]:
    return list(qdrant.points["articles"].values())


SECTION = "# Heading\n" + "word " * 45
LONG_HEADING = "# " + "heading " * 3000 + "\n\n" + ("word " * 180 + "\n\n") * 1000


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("articles/ada/x.md", f"{SECTION}\n" * (MAX_CHUNKS + 1), f"more than {MAX_CHUNKS} chunks"),
        ("articles/ada/x.md", LONG_HEADING, f"chunks longer than {MAX_TEXT_CHARS} characters together"),
        ("posts/ada/x.md", "word " * 30_000, f"a chunk longer than {MAX_CHUNK_CHARS} characters"),
        ("articles/ada/x.md", f"```\n{'word ' * 30_000}\n```", f"a chunk longer than {MAX_CHUNK_CHARS} characters"),
    ],
)
def test_text_that_grows_is_bounded(tmp_path: Path, name: str, text: str, reason: str) -> None:
    folder = Path(name).parent
    lines = f'{{"id": "1", "text": "fine"}}\n{json.dumps({"text": text})}\n{{"id": "3", "text": "fine too"}}'
    tree = write(tmp_path, {name: text, f"{folder}/good.md": "# Good\nwords", f"{folder}/all.jsonl": lines})
    with Isolated() as isolated:
        corpus = read_path(tree, Given(), isolated)
    assert {(found.id, found.reason, found.unreadable) for found in corpus.skipped} == {
        (name, reason, True),
        (f"{folder}/all.jsonl:2", reason, True),
    }
    assert {found.id for found in corpus.documents} == {
        f"{folder}/good.md",
        f"{folder}/all.jsonl#1",
        f"{folder}/all.jsonl#3",
    }
    # Which document the line was is unknown.
    assert corpus.unreadable_of([f"{folder}/all.jsonl#2", f"{folder}/good.md"]) == {f"{folder}/all.jsonl#2"}


def test_what_every_chunk_repeats_is_bounded(tmp_path: Path, isolated: Isolated) -> None:
    front = f"---\ntitle: {'t' * 50_000}\nauthor: {'a' * 50_000}\nurl: https://a.example/{'u' * 50_000}\n---\n"
    (document,) = read_path(write(tmp_path, {"posts/ada/x.md": f"{front}words"}), Given(), isolated).documents
    assert (len(document.title), len(document.author), document.url) == (1000, 300, "")


def test_a_call_that_takes_too_long_ends_and_the_next_is_answered(isolated: Isolated) -> None:
    began = time.monotonic()
    with pytest.raises(Unreadable, match=r"^took longer than 1\.5 s$"):
        isolated.run(time.sleep, 60)
    assert time.monotonic() - began < 30
    assert isolated.run(len, "four") == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces a limit of memory")
def test_a_call_that_needs_too_much_memory_ends_and_the_next_is_answered(isolated: Isolated) -> None:
    with pytest.raises(Unreadable, match=r"^needs more than 32 MB of memory$"):
        isolated.run(bytes, 64 * MEBIBYTE)
    assert isolated.run(bytes, 1) == b"\0"


def test_an_error_of_a_library_is_a_reason(isolated: Isolated) -> None:
    before = isolated.run(os.getpid)
    with pytest.raises(Unreadable, match=r"^cannot be parsed: ValueError$"):
        isolated.run(int, "seven")
    assert isolated.run(os.getpid) == before != os.getpid()


def test_a_process_that_was_ended_is_replaced() -> None:
    with Isolated() as isolated:
        idle = isolated.run(os.getpid)
        os.kill(idle, signal.SIGKILL)
        busy = isolated.run(os.getpid)
        assert busy != idle
        killer = threading.Timer(0.3, os.kill, (busy, signal.SIGKILL))
        killer.start()
        began = time.monotonic()
        isolated.run(time.sleep, 0.6)
        killer.join()
        assert time.monotonic() - began > 0.8  # begun again
        assert isolated.run(os.getpid) not in (idle, busy)


def test_a_document_that_ends_its_process_twice_is_skipped(isolated: Isolated) -> None:
    with pytest.raises(Unreadable, match=r"^the process that read it ended \(SIGTERM\)$"):
        isolated.run(signal.raise_signal, signal.SIGTERM)
    with pytest.raises(Unreadable, match=r"^the process that read it ended \(status 7\)$"):
        isolated.run(os._exit, 7)
    assert isolated.run(len, "four") == 4


def test_the_kernel_ends_a_call_should_the_parent_not(isolated: Isolated) -> None:
    remaining, _ = isolated.run(signal.getitimer, signal.ITIMER_REAL)
    assert LIMITS.seconds < remaining < LIMITS.seconds + 10
    assert isolated.run(signal.getsignal, signal.SIGALRM) == signal.SIG_DFL


def test_no_secret_and_no_large_library_is_in_the_process(isolated: Isolated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "secret")
    assert isolated.run(os.getenv, "QDRANT_API_KEY") is None
    modules = set(isolated.run(eval, "sorted(__import__('sys').modules)"))
    assert "bs4" in modules and modules.isdisjoint({"numpy", "onnxruntime", "qdrant_client", "boto3"})


def test_closing_ends_a_running_call(isolated: Isolated) -> None:
    problems: list[Exception] = []

    def call() -> None:
        try:
            isolated.run(time.sleep, 60)
        except IngestError as problem:
            problems.append(problem)

    pid = isolated.run(os.getpid)
    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.2)
    isolated.close()
    thread.join(10)
    assert not thread.is_alive() and len(problems) == 1
    assert _gone(pid)


PARENT = """
import os, sys, time
from services.rag.ingest.isolated import Isolated
with Isolated() as isolated:
    print(isolated.run(os.getpid), flush=True)
    {then}
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", "isolated.run(time.sleep, 60)", "isolated.run(sum, range(10**12))"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_process_ends_with_its_parent(then: str, how: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT.format(then=then)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        assert not _gone(pid, within=0)
        parent.send_signal(how)
        parent.wait(10)
        assert _gone(pid)


def _gone(pid: int, within: float = 5) -> bool:
    return _eventually(lambda: not _runs(pid), within)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met
