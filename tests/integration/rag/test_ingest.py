"""Ingest: what changes in the store, and what does not."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.rag.embeddings.pool import CpuPool
from services.rag.errors import StoreMismatch
from services.rag.ingest.run import IngestReport, ingest
from services.rag.stores.qdrant import QdrantStore
from tests.integration.rag.fake_qdrant import Qdrant
from tests.integration.rag.fakes import DIMENSION, WordEmbedder


@pytest.fixture
async def qdrant() -> AsyncIterator[Qdrant]:
    server = Qdrant()
    yield server
    server.stop()


@pytest.fixture
def tree(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "corpus"))


async def run(qdrant: Qdrant, tree: Path, tenant: str = "default", **options: object) -> IngestReport:
    pool = CpuPool(WordEmbedder(), 1)
    store = QdrantStore(qdrant.url, embedding_model_id=pool.model_id, dimension=DIMENSION, tenant=tenant)
    try:
        return await ingest(tree, store, pool, **options)  # type: ignore[arg-type]
    finally:
        await store.close()
        pool.close()


async def test_a_second_run_changes_nothing(qdrant: Qdrant, tree: Path) -> None:
    seen: list[tuple[int, int]] = []
    first = await run(qdrant, tree, progress=lambda done, total: seen.append((done, total)))
    assert (first.added, first.unchanged, first.chunks_written) == (3, 0, 3)
    assert seen[0] == (0, 3) and seen[-1] == (3, 3)
    second = await run(qdrant, tree)
    assert (second.added, second.updated, second.unchanged, second.removed) == (0, 0, 3, 0)
    assert qdrant.writes == 3


async def test_changes_are_written_and_what_vanished_is_removed(qdrant: Qdrant, tree: Path) -> None:
    await run(qdrant, tree)
    (tree / "posts/ben-marsh/queues.md").write_text("# Queues\nNew words.", encoding="utf-8")
    (tree / "repositories/ada-quill/loader.md").unlink()
    report = await run(qdrant, tree)
    assert (report.updated, report.unchanged, report.removed, report.chunks_removed) == (1, 1, 1, 1)
    assert qdrant.points["repositories"] == {}
    (point,) = qdrant.points["posts"].values()
    assert "New words." in point["payload"]["text"]


async def test_a_document_that_became_shorter_loses_its_last_chunks(qdrant: Qdrant, tree: Path) -> None:
    path = tree / "articles/ada-quill/health.md"
    path.write_text("# A\n" + "First sentence. " * 50 + "\n# B\n" + "Second sentence. " * 50, encoding="utf-8")
    await run(qdrant, tree)
    assert len(qdrant.points["articles"]) == 2
    path.write_text("# A\n" + "First sentence. " * 50, encoding="utf-8")
    report = await run(qdrant, tree)
    assert (report.chunks_removed, report.removed, report.updated) == (1, 0, 1)
    assert len(qdrant.points["articles"]) == 1


async def test_what_cannot_be_read_or_was_not_looked_at_stays(qdrant: Qdrant, tree: Path) -> None:
    await run(qdrant, tree)
    (tree / "articles/ada-quill/health.md").write_bytes(b"\xff\xfe\xff")
    shutil.rmtree(tree / "posts")
    report = await run(qdrant, tree)
    assert (report.removed, len(report.skipped)) == (0, 1)
    assert len(qdrant.points["articles"]) == len(qdrant.points["posts"]) == 1


async def test_tenants_do_not_see_or_remove_each_others_documents(qdrant: Qdrant, tree: Path) -> None:
    await run(qdrant, tree, tenant="one")
    shutil.rmtree(tree / "articles" / "ada-quill")
    await run(qdrant, tree, tenant="two")
    assert len(qdrant.points["articles"]) == 1
    store = QdrantStore(qdrant.url, embedding_model_id="test/words", dimension=DIMENSION, tenant="two")
    vectors = list(WordEmbedder().embed(["health check"]))
    assert await store.search("articles", vectors, "health check") == []
    assert await store.authors() == ["Ada Quill", "Ben Marsh"]
    await store.close()


async def test_another_embedding_model_is_refused(qdrant: Qdrant, tree: Path) -> None:
    await run(qdrant, tree)
    store = QdrantStore(qdrant.url, embedding_model_id="other/model", dimension=DIMENSION, tenant="default")
    with pytest.raises(StoreMismatch, match="filled with the embedding model test/words"):
        await store.search("posts", list(WordEmbedder().embed(["x"])), "x")
    await store.close()


async def test_a_collection_that_does_not_exist_yet_holds_nothing(qdrant: Qdrant) -> None:
    store = QdrantStore(qdrant.url, embedding_model_id="test/words", dimension=DIMENSION, tenant="default")
    assert await store.search("posts", list(WordEmbedder().embed(["x"])), "x") == []
    assert await store.authors() == []
    await store.close()


async def test_a_collection_that_was_replaced_is_checked_again(qdrant: Qdrant, tree: Path) -> None:
    await run(qdrant, tree)
    store = QdrantStore(qdrant.url, embedding_model_id="test/words", dimension=DIMENSION, tenant="default")
    vectors = list(WordEmbedder().embed(["queue"]))
    assert len(await store.search("posts", vectors, "queue")) == 1
    kept = qdrant.collections.pop("posts")
    assert await store.search("posts", vectors, "queue") == []
    qdrant.collections["posts"] = {**kept, "metadata": {"embedding_model_id": "other/model"}}
    with pytest.raises(StoreMismatch):
        await store.search("posts", vectors, "queue")
    await store.close()
