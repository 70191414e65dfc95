"""Several tenants in one store, over a real server: each sees, replaces and removes only what is its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.run import ingest
from services.rag.stores.documents import COLLECTIONS, Chunk
from services.rag.stores.filters import Filters
from services.rag.stores.qdrant import QdrantStore
from tests.integration.rag.fakes import DIMENSION, WordEmbedder
from tests.integration.rag.local_servers import qdrant

DOCUMENTS = {
    "posts/{author}/queues.md": "---\nauthor: {name}\n---\n# Queues\nA dead letter queue keeps what nobody read.\n",
    "articles/{author}/health.md": "---\nauthor: {name}\n---\n# Health\nThe health check timeout of {name}.\n",
    "repositories/{author}/loader.md": "---\nauthor: {name}\n---\n# Loader\nLoads the weights for {name}.\n",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with qdrant(tmp_path_factory.mktemp("qdrant")) as url:
        yield url


@pytest.fixture
def pool() -> Iterator[CpuPool]:
    opened = CpuPool(WordEmbedder(), 1)
    yield opened
    opened.close()


class Tenant:
    """A tenant with a tree of its own and a store that belongs to it."""

    def __init__(self, url: str, name: str, author: str, root: Path, pool: CpuPool) -> None:
        self.store = QdrantStore(
            url, embedding_model_id=pool.model_id, dimension=DIMENSION, tenant=name, timeout_seconds=30
        )
        self.name, self.author, self.tree, self._pool = name, author, root / name, pool
        folder = author.lower().replace(" ", "-")
        for place, text in DOCUMENTS.items():
            file = self.tree / place.format(author=folder)
            file.parent.mkdir(parents=True)
            file.write_text(text.format(name=author), encoding="utf-8")

    async def ingest(self) -> None:
        await ingest(self.tree, self.store, self._pool)

    async def found(self, query: str, filters: Filters | None = None) -> set[str]:
        """Authors of everything that dense, sparse and hybrid searches find."""
        vectors = list(await self._pool.embed([query]))
        hits = [
            hit
            for collection in COLLECTIONS
            for used, text in ((vectors, None), ([], query), (vectors, query))
            for hit in await self.store.search(collection, used, text, filters=filters)
        ]
        return {hit.chunk.author for hit in hits}

    async def held(self) -> dict[str, set[str]]:
        return {collection: await self.store.document_ids(collection) for collection in COLLECTIONS}


@pytest.fixture
async def tenants(url: str, tmp_path: Path, pool: CpuPool) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Two tenants of this test; their authors have nothing in common but the words of their documents."""
    mark = uuid4().hex[:6]
    one = Tenant(url, f"one-{mark}", f"Ada {mark}", tmp_path, pool)
    two = Tenant(url, f"two-{mark}", f"Ben {mark}", tmp_path, pool)
    await one.ingest()
    await two.ingest()
    yield one, two
    await one.store.close()
    await two.store.close()


def test_a_store_without_a_tenant_cannot_be_opened() -> None:
    with pytest.raises(TypeError, match="tenant"):
        QdrantStore("http://127.0.0.1:9", embedding_model_id="m", dimension=2)  # type: ignore[call-arg]


async def test_no_search_finds_what_belongs_to_another_tenant(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    query = "dead letter queue health check timeout weights"
    assert await one.found(query) == {one.author}
    assert await two.found(query) == {two.author}
    # Not even when it asks for the other's author by name, or for a time.
    assert await one.found(query, Filters(authors=(two.author,))) == set()
    assert two.author not in await one.found(query, Filters(after=date(1990, 1, 1)))


async def test_nothing_else_that_reads_shows_another_tenants_documents(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    assert await one.store.authors() == [one.author]
    assert await two.store.authors() == [two.author]
    for collection in COLLECTIONS:
        ids = await one.store.stored(collection)
        assert len(ids) == 1
        assert ids.keys().isdisjoint(await two.store.stored(collection))


async def test_what_vanishes_from_one_tree_stays_with_the_other_tenant(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    before = await two.held()
    for place in ("posts", "articles"):
        for file in (one.tree / place).rglob("*.md"):
            file.unlink()
    await one.ingest()
    assert (await one.held())["posts"] == (await one.held())["articles"] == set()
    assert await two.held() == before
    # The same documents under both names: what one of them drops, the other keeps.
    for file in one.tree.rglob("*.md"):
        file.unlink()
    shutil.copytree(two.tree, one.tree, dirs_exist_ok=True)
    await one.ingest()
    assert await one.found("queue") == {two.author}
    for file in (one.tree / "posts").rglob("*.md"):
        file.unlink()
    await one.ingest()
    assert (await one.held())["posts"] == set()
    assert await two.held() == before


async def test_ids_of_another_tenant_are_neither_removed_nor_replaced(
    tenants: tuple[Tenant, Tenant], pool: CpuPool
) -> None:
    one, two = tenants
    (stolen,) = await two.store.stored("posts")
    await one.store.delete("posts", [stolen])
    assert set(await two.store.stored("posts")) == {stolen}
    chunk = Chunk(stolen, "posts/x.md", 0, "queue", "hash", title="Taken over", author=one.author, url="")
    await one.store.upsert("posts", [chunk], await pool.embed([chunk.text]))
    (hit,) = await two.store.search("posts", list(await pool.embed(["queue"])), "queue")
    assert (hit.chunk.author, hit.chunk.title) == (two.author, "Queues")
    assert stolen not in await one.store.stored("posts")


async def test_one_may_write_and_replace_its_own(tenants: tuple[Tenant, Tenant], pool: CpuPool) -> None:
    one, _ = tenants
    (own,) = await one.store.stored("posts")
    for text in ("queue one", "queue two"):
        chunk = Chunk(own, "posts/x.md", 0, text, "hash", title="Own", author=one.author, url="")
        await one.store.upsert("posts", [chunk], await pool.embed([text]))
        (hit,) = await one.store.search("posts", list(await pool.embed(["queue"])), "queue")
        assert hit.chunk.text == text


async def test_the_tenant_is_a_payload_index(tenants: tuple[Tenant, Tenant], url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
        for collection in COLLECTIONS:
            schema = (await client.get(f"/collections/{collection}")).json()["result"]["payload_schema"]
            assert schema["tenant"]["data_type"] == "keyword"
            assert schema["tenant"]["points"] >= len(tenants)
