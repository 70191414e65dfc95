"""Ingest as a person runs it: the program and `twin ingest` as processes, with the shipped embedding model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from qdrant_client import QdrantClient, models

from services.rag.ingest.write import GROUP_SIZE
from tests.integration.rag.local_servers import PATIENT, qdrant
from tests.program import TWIN
from tests.sigint import restore_sigint

ROOT = Path(__file__).parents[3]
INGEST = (sys.executable, "-m", "services.rag.ingest")
# The second group of what is embedded and written together takes some seconds, in which a run can be interrupted.
POSTS = GROUP_SIZE + 40


class Runner:
    """Starts the programs against one server, for a tenant of its own."""

    def __init__(self, url: str, embedding_model: Path) -> None:
        self.tenant = uuid4().hex[:8]
        self._client = QdrantClient(url=url, timeout=20, check_compatibility=False)
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environment = {
            **kept,
            **PATIENT,
            "QDRANT_URL": url,
            "EMBEDDING_MODEL_DIR": str(embedding_model),
            "TENANT": self.tenant,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=restore_sigint,
            # As a shell does: Ctrl-C goes to the program and to all that it started.
            process_group=0,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        output, errors = process.communicate(timeout=240)
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def report(self, *command: str) -> dict[str, Any]:
        done = self.run(*command)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def stored(self, collection: str) -> dict[str, models.Record]:
        if not self._client.collection_exists(collection):
            return {}
        mine = models.FieldCondition(key="tenant", match=models.MatchValue(value=self.tenant))
        found, _ = self._client.scroll(
            collection, scroll_filter=models.Filter(must=[mine]), limit=10_000, with_vectors=["dense"]
        )
        return {str(point.id): point for point in found}


@pytest.fixture(scope="module")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


@pytest.fixture
def runner(qdrant_url: str, embedding_model: Path) -> Runner:
    return Runner(qdrant_url, embedding_model)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Posts of which a first group is embedded in a moment and the rest in some seconds."""
    for number in range(POSTS):
        words = " ".join(f"word{number}x{count}" for count in range(5 if number < GROUP_SIZE else 50))
        path = tmp_path / "corpus" / "posts" / "ada" / f"{number:03}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Post {number}\n{words}\n")
    return tmp_path / "corpus"


def end_after_first_write(runner: Runner, tree: Path, how: signal.Signals) -> tuple[int, str]:
    """Start an ingest and send it a signal as soon as something is stored; its exit status and all that it said."""
    process = runner.start(*INGEST, str(tree), "--progress-json")
    deadline = time.monotonic() + 60
    while not runner.stored("posts"):
        assert process.poll() is None and time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert json.loads(said.splitlines()[0]) == {"done": 0, "total": POSTS}
    return process.returncode, said


def test_what_a_killed_run_has_written_is_not_embedded_again(runner: Runner, tree: Path) -> None:
    status, _ = end_after_first_write(runner, tree, signal.SIGKILL)
    assert status == -signal.SIGKILL
    before = runner.stored("posts")
    assert 0 < len(before) < POSTS

    report = runner.report(*INGEST, str(tree))
    assert report["chunks_written"] == POSTS - len(before)
    assert (report["unchanged"], report["added"], report["chunks_removed"]) == (len(before), POSTS - len(before), 0)
    after = runner.stored("posts")
    assert len(after) == POSTS
    assert all(after[key].vector == point.vector for key, point in before.items())
    assert runner.report(*INGEST, str(tree))["chunks_written"] == 0


def test_ctrl_c_says_how_to_go_on(runner: Runner, tree: Path) -> None:
    status, rest = end_after_first_write(runner, tree, signal.SIGINT)
    assert status == 130
    assert "run it again to go on where it stopped" in rest and "Traceback" not in rest
    assert 0 < len(runner.stored("posts")) < POSTS


def reader_of(program: subprocess.Popen[str]) -> psutil.Process:
    """The process that reads documents, once it is busy with one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for found in psutil.Process(program.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if "services.rag.ingest.worker" in found.cmdline() and found.cpu_times().user > 0.6:
                    return found
        time.sleep(0.05)
    raise AssertionError("no process reads documents")


@pytest.fixture
def slow_tree(tmp_path: Path) -> Path:
    """A web page that takes some seconds to read, and a post after it."""
    (tmp_path / "articles/ada").mkdir(parents=True)
    (tmp_path / "articles/ada/page.html").write_text(f"<main>{'<p>a <b>b</b> c</p>' * 25_000}</main>")
    (tmp_path / "articles/ada/last.md").write_text("# Last\nwords")
    return tmp_path


def test_ctrl_c_while_a_document_is_read_is_one_sentence(runner: Runner, slow_tree: Path) -> None:
    program = runner.start(*INGEST, str(slow_tree), "--progress-json")
    reader = reader_of(program)
    os.killpg(program.pid, signal.SIGINT)
    output, said = program.communicate(timeout=10)
    assert (program.returncode, output) == (130, "")
    assert said == "Interrupted: run it again to go on where it stopped.\n"
    assert not reader.is_running()


def test_a_reader_that_is_killed_is_replaced(runner: Runner, slow_tree: Path) -> None:
    program = runner.start(*INGEST, str(slow_tree))
    first = reader_of(program)
    first.kill()
    psutil.wait_procs([first], 10)
    assert reader_of(program) != first
    output, said = program.communicate(timeout=240)
    assert program.returncode == 0, said
    report = json.loads(output)
    assert (report["added"], report["skipped"]) == (2, [])


SKIPPED: dict[str, bytes] = {
    "posts/ada/photo.jpg": b"\xff\xd8\xff\0",
    "posts/ada/latin.md": b"caf\xe9",
    "posts/ada/blank.txt": b" \n",
    "articles/ada/book.md": b"x" * (5 * 1024 * 1024 + 1),
    "articles/ada/lines.jsonl": b'{"id": "1", "text": "fine"}\n{"text": cut\n',
}


def test_the_command_reports_what_was_skipped_and_why(runner: Runner, tmp_path: Path) -> None:
    for name, content in {**SKIPPED, "posts/ada/good.md": b"# Good\nwords"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    report = runner.report(TWIN, "ingest", str(tmp_path), "--stage", "dev", "--json")
    assert (report["added"], report["chunks_written"]) == (2, 2)
    reasons = {skipped["id"]: skipped["reason"] for skipped in report["skipped"]}
    assert reasons.pop("articles/ada/lines.jsonl:2").startswith("Invalid JSON")
    assert reasons == {
        "posts/ada/photo.jpg": "binary",
        "posts/ada/latin.md": "not UTF-8 text",
        "posts/ada/blank.txt": "empty",
        "articles/ada/book.md": "larger than 5242880 bytes",
    }

    shown = runner.run(TWIN, "ingest", str(tmp_path), "--stage", "dev")
    assert shown.returncode == 0, shown.stderr
    assert "0 added, 0 updated, 2 unchanged, 0 removed" in shown.stdout
    for said in ("binary", "posts/ada/photo.jpg", "not UTF-8 text", "empty", "articles/ada/lines.jsonl:2"):
        assert said in shown.stdout


def test_a_folder_without_layout_needs_a_type_and_an_author(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a note")
    refused = runner.run(TWIN, "ingest", str(tmp_path), "--stage", "dev")
    assert refused.returncode == 1
    assert "say what it holds with --type and --author" in refused.stderr and "Traceback" not in refused.stderr
    given = ("--type", "articles", "--author", "Ada Quill", "--json")
    assert runner.report(TWIN, "ingest", str(tmp_path), "--stage", "dev", *given)["added"] == 1


def test_without_the_stores_address_the_command_names_the_variable(runner: Runner, tree: Path) -> None:
    del runner.environment["QDRANT_URL"]
    refused = runner.run(TWIN, "ingest", str(tree), "--stage", "dev")
    assert refused.returncode == 1
    assert "QDRANT_URL" in refused.stderr and "Traceback" not in refused.stderr
