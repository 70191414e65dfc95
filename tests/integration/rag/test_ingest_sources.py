"""Ingest from every kind of source into the local Qdrant-compatible server: what is stored, updated and removed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from qdrant_client import QdrantClient, models

from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.documents import IngestError
from services.rag.ingest.reader import Given
from services.rag.ingest.run import IngestReport, ingest
from services.rag.stores.qdrant import QdrantStore
from tests.aws import aws_environment
from tests.integration.rag.fakes import DIMENSION, WordEmbedder
from tests.integration.rag.local_servers import qdrant, serving

FILES = {
    "posts/ada/wake.md": "# Waking\nAn endpoint that sleeps costs nothing.",
    "articles/ada/queues.html": "<title>Queues</title><main><p>A dead letter queue keeps what nobody read.</p></main>",
    "articles/ben/notes.jsonl": '{"id": "one", "text": "First note."}\n{"id": "two", "text": "Second note."}\n',
    "repositories/ben/tool/load.py": "def load(weights):\n    return weights\n",
}


class Store:
    """The server with one tenant's view of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tenant = uuid4().hex[:8]
        self._client = QdrantClient(url=url, timeout=20, check_compatibility=False)

    async def ingest(self, source: str | Path, given: Given | None = None) -> IngestReport:
        pool = CpuPool(WordEmbedder(), 1)
        store = QdrantStore(self.url, embedding_model_id=pool.model_id, dimension=DIMENSION, tenant=self.tenant)
        try:
            return await ingest(source, store, pool, given=given)
        finally:
            await store.close()
            pool.close()

    def payloads(self, collection: str) -> dict[str, dict[str, Any]]:
        """Document id -> payload of its chunk (documents here have one)."""
        mine = models.FieldCondition(key="tenant", match=models.MatchValue(value=self.tenant))
        found, _ = self._client.scroll(collection, scroll_filter=models.Filter(must=[mine]), limit=1000)
        return {str((point.payload or {})["document_id"]): point.payload or {} for point in found}


@pytest.fixture(scope="module")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


@pytest.fixture
def store(qdrant_url: str) -> Store:
    return Store(qdrant_url)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with (
        serving("localcloud.emulator", "/_ministack/health", tmp_path_factory.mktemp("emulator")) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in aws_environment(url).items():
            patch.setenv(name, value)
        yield boto3.client("s3")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "corpus", FILES)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def numbers(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.removed, report.chunks_written


async def test_every_kind_of_file_of_a_tree_is_stored_with_what_is_known_about_it(store: Store, tree: Path) -> None:
    assert numbers(await store.ingest(tree)) == (5, 0, 0, 0, 5)
    assert store.payloads("posts")["posts/ada/wake.md"]["title"] == "Waking"
    articles = store.payloads("articles")
    assert articles.keys() == {
        "articles/ada/queues.html",
        "articles/ben/notes.jsonl#one",
        "articles/ben/notes.jsonl#two",
    }
    assert articles["articles/ada/queues.html"]["author"] == "ada"
    code = store.payloads("repositories")["repositories/ben/tool/load.py"]
    assert code["language"] == "python" and "def load(weights)" in code["text"]


async def test_a_second_run_writes_only_what_changed_and_removes_what_vanished(store: Store, tree: Path) -> None:
    await store.ingest(tree)
    assert numbers(await store.ingest(tree)) == (0, 0, 5, 0, 0)
    write(tree, {"posts/ada/wake.md": "# Waking\nNew words."})
    (tree / "repositories/ben/tool/load.py").unlink()
    (tree / "articles/ben/notes.jsonl").write_text('{"id": "two", "text": "Second note."}\n')
    assert numbers(await store.ingest(tree)) == (0, 1, 2, 2, 1)
    assert "New words." in store.payloads("posts")["posts/ada/wake.md"]["text"]
    assert store.payloads("repositories") == {}
    assert store.payloads("articles").keys() == {"articles/ada/queues.html", "articles/ben/notes.jsonl#two"}


async def test_another_tree_removes_nothing_of_authors_it_does_not_have(
    store: Store, tree: Path, tmp_path: Path
) -> None:
    await store.ingest(tree)
    other = write(
        tmp_path / "other", {"articles/cleo/one.md": "# One\nA third author.", "posts/ada/wake.md": "# W\nMoved."}
    )
    assert numbers(await store.ingest(other)) == (1, 1, 0, 0, 2)
    assert len(store.payloads("articles")) == 4
    assert store.payloads("repositories").keys() == {"repositories/ben/tool/load.py"}


async def test_a_broken_line_does_not_take_the_document_that_it_was_with_it(store: Store, tree: Path) -> None:
    await store.ingest(tree)
    (tree / "articles/ben/notes.jsonl").write_text('{"id": "one", "text": "First no\n{"id": "two", "text": "Changed."}')
    report = await store.ingest(tree)
    assert (report.removed, report.updated, report.chunks_removed) == (0, 1, 0)
    assert [skipped.id for skipped in report.skipped] == ["articles/ben/notes.jsonl:1"]
    assert store.payloads("articles")["articles/ben/notes.jsonl#one"]["text"] == "First note."


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada Quill", "-c", "user.email=ada@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "README.md": "# Kettle\nBoils.",
        "src/kettle/boil.py": "def boil(water):\n    return water\n",
        "package-lock.json": "{}",
        "vendor/lib.js": "let a = 1\n",
        ".gitignore": "notes.md\n",
    }
    root = write(tmp_path / "kettle", files)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first", "--date=2026-02-03T08:00:00Z")
    write(root, {"notes.md": "ignored", "untracked.md": "never added"})
    return root


async def test_a_repository_by_its_path(store: Store, repository: Path) -> None:
    report = await store.ingest(str(repository))
    assert numbers(report) == (2, 0, 0, 0, 2)
    found = store.payloads("repositories")
    assert found.keys() == {"git:kettle/README.md", "git:kettle/src/kettle/boil.py"}
    assert {payload["author"] for payload in found.values()} == {"Ada Quill"}
    assert all(payload["date"] for payload in found.values())
    assert "kettle.boil" in found["git:kettle/src/kettle/boil.py"]["text"]
    assert {skipped.id: skipped.reason for skipped in report.skipped} == {
        "git:kettle/package-lock.json": "generated",
        "git:kettle/vendor/": "vendored or generated",
        "git:kettle/.gitignore": "no reader for files without a suffix",
    }


async def test_a_repository_by_its_address_follows_its_commits(store: Store, repository: Path) -> None:
    address = f"file://{repository}"
    assert numbers(await store.ingest(address)) == (2, 0, 0, 0, 2)
    assert numbers(await store.ingest(address)) == (0, 0, 2, 0, 0)
    write(repository, {"README.md": "# Kettle\nNever committed."})
    assert numbers(await store.ingest(address)) == (0, 0, 2, 0, 0)
    git(repository, "rm", "--quiet", "src/kettle/boil.py")
    git(repository, "commit", "--quiet", "-a", "-m", "second")
    assert numbers(await store.ingest(address)) == (0, 1, 0, 1, 1)
    assert store.payloads("repositories").keys() == {"git:kettle/README.md"}


async def test_a_repository_that_is_not_there_is_one_sentence(store: Store, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"^Cloning file://.* failed: .*\.$"):
        await store.ingest(f"file://{tmp_path}/none")
    with pytest.raises(IngestError, match="repositories are read over https, ssh, file only"):
        await store.ingest("http://example.invalid/x.git")


async def test_a_bucket_is_the_same_as_the_tree_in_it(store: Store, s3: Any, tree: Path) -> None:
    s3.create_bucket(Bucket="documents")
    for name, text in FILES.items():
        s3.put_object(Bucket="documents", Key=f"twin/{name}", Body=text.encode())
    s3.put_object(Bucket="documents", Key="twin/posts/ada/photo.png", Body=b"\x89PNG")
    s3.put_object(Bucket="documents", Key="twin/repositories/ben/tool/node_modules/a.js", Body=b"x")
    s3.put_object(Bucket="documents", Key="twins/posts/ada/other.md", Body=b"another prefix")
    report = await store.ingest("s3://documents/twin/")
    assert numbers(report) == (5, 0, 0, 0, 5)
    assert {skipped.id: skipped.reason for skipped in report.skipped} == {
        "posts/ada/photo.png": "no reader for .png files",
        "repositories/ben/tool/node_modules/": "vendored or generated",
    }
    assert numbers(await store.ingest(tree)) == (0, 0, 5, 0, 0)
    s3.delete_object(Bucket="documents", Key="twin/repositories/ben/tool/load.py")
    s3.put_object(Bucket="documents", Key="twin/repositories/ben/tool/save.py", Body=b"def save(): ...\n")
    assert numbers(await store.ingest("s3://documents/twin")) == (1, 0, 4, 1, 1)
    assert store.payloads("repositories").keys() == {"repositories/ben/tool/save.py"}


async def test_one_object_and_wrong_addresses(store: Store, s3: Any) -> None:
    s3.create_bucket(Bucket="exports")
    line = {"id": "1", "type": "posts", "author": "Ada", "text": "One post."}
    s3.put_object(Bucket="exports", Key="2026/all.jsonl", Body=json.dumps(line).encode())
    assert numbers(await store.ingest("s3://exports/2026/all.jsonl")) == (1, 0, 0, 0, 1)
    assert store.payloads("posts").keys() == {"jsonl:all#1"}
    for address, sentence in {
        "s3://exports/2027": "holds no objects",
        "s3://nowhere-to-be-found/x": "there is no such bucket",
        "s3://": "names no bucket",
    }.items():
        with pytest.raises(IngestError, match=sentence):
            await store.ingest(address)
