"""Calls of the services to Qdrant, through the unmodified client. QDRANT_CONTRACT_URL points it at a real server."""

from __future__ import annotations

import os
from uuid import uuid4

import httpx
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.integration.qdrant.conftest import create, point

UUID_A = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def filled(client: QdrantClient, collection: str) -> str:
    """Five points of two authors and two tenants."""
    points = [
        point(1, [1, 0, 0, 0], "caching key value tensors saves memory", author="ada", tenant="t1", year=2020),
        point(2, [0.9, 0.1, 0, 0], "quantisation makes weights smaller", author="ada", tenant="t1", year=2021),
        point(3, [0, 1, 0, 0], "gardens need water in summer", author="bob", tenant="t1", year=2022),
        point(UUID_A, [0, 0, 1, 0], "speculative decoding drafts tokens", author="bob", tenant="t1", year=2023),
        point(5, [1, 0, 0, 0], "caching of another tenant", author="eve", tenant="t2", year=2024),
    ]
    assert client.upsert(collection, points, wait=True).status is models.UpdateStatus.COMPLETED
    return collection


def tenant(name: str, *more: models.Condition) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=name)), *more])


def ids(points: list[models.ScoredPoint] | list[models.Record]) -> list[object]:
    return [found.id for found in points]


def status_of(error: pytest.ExceptionInfo[UnexpectedResponse]) -> int | None:
    return error.value.status_code


def test_a_collection_shows_what_it_was_created_with(client: QdrantClient, collection: str) -> None:
    info = client.get_collection(collection)
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict) and vectors["dense"].size == 4
    assert vectors["dense"].distance is models.Distance.COSINE
    assert info.config.params.sparse_vectors and info.config.params.sparse_vectors["bm25"].modifier == "idf"
    assert info.config.metadata == {"embedding_model_id": "tests/model", "dimension": 4}
    assert {name: index.data_type.value for name, index in info.payload_schema.items()} == {
        "author": "keyword",
        "tenant": "keyword",
    }
    assert info.points_count == 0 and info.status is models.CollectionStatus.GREEN


def test_collections_are_listed_and_deleted(client: QdrantClient) -> None:
    name = f"contract-{uuid4().hex[:8]}"
    create(client, name)
    assert name in [one.name for one in client.get_collections().collections]
    assert client.collection_exists(name)
    with pytest.raises(UnexpectedResponse) as error:
        create(client, name)
    assert status_of(error) == 409
    assert client.delete_collection(name)
    assert not client.collection_exists(name)


def test_a_missing_collection_is_404_everywhere(client: QdrantClient) -> None:
    for call in (
        lambda: client.get_collection("nowhere"),
        lambda: client.query_points("nowhere", query=[1.0, 0, 0, 0], using="dense"),
        lambda: client.scroll("nowhere"),
        lambda: client.count("nowhere"),
        lambda: client.facet("nowhere", "author"),
        lambda: client.upsert("nowhere", [point(1, [1, 0, 0, 0], "x")]),
        lambda: client.delete("nowhere", models.PointIdsList(points=[1])),
    ):
        with pytest.raises(UnexpectedResponse) as error:
            call()
        assert status_of(error) == 404
        assert b"doesn't exist" in error.value.content


def test_dense_search_ranks_by_cosine(client: QdrantClient, filled: str) -> None:
    found = client.query_points(filled, query=[1.0, 0, 0, 0], using="dense", query_filter=tenant("t1"), limit=3).points
    assert ids(found)[:2] == [1, 2]
    assert found[0].score == pytest.approx(1.0, abs=1e-5)
    assert found[0].payload and found[0].payload["author"] == "ada"
    assert found[0].vector is None


def test_text_is_turned_into_sparse_vectors_by_the_server(client: QdrantClient, filled: str) -> None:
    query = models.Document(text="Caching the tensors", model="qdrant/bm25")
    found = client.query_points(filled, query=query, using="bm25", query_filter=tenant("t1")).points
    assert ids(found) == [1]
    assert found[0].score > 0


def test_rare_words_weigh_more(client: QdrantClient, collection: str) -> None:
    common = [point(n, [1, 0, 0, 0], f"model number{n}") for n in range(1, 30)]
    client.upsert(collection, [*common, point(30, [1, 0, 0, 0], "zebra numbers")], wait=True)
    query = models.Document(text="zebra model", model="qdrant/bm25")
    found = client.query_points(collection, query=query, using="bm25", limit=5).points
    assert found[0].id == 30 and found[0].score > 2 * found[1].score


def test_hybrid_search_fuses_by_reciprocal_rank(client: QdrantClient, filled: str) -> None:
    where = tenant("t1", models.FieldCondition(key="author", match=models.MatchAny(any=["ada", "bob"])))
    sparse = models.Document(text="caching drafts", model="qdrant/bm25")
    found = client.query_points(
        filled,
        prefetch=[
            models.Prefetch(query=[1.0, 0, 0, 0], using="dense", filter=where, limit=2),
            models.Prefetch(query=[1.0, 0, 0, 0], using="dense", filter=where, limit=2),
            models.Prefetch(query=sparse, using="bm25", filter=where, limit=2),
        ],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        query_filter=where,
        limit=10,
        with_payload=True,
        with_vectors=["dense"],
    ).points
    assert found[0].id == 1
    assert set(ids(found)) == {1, 2, UUID_A}
    assert found[0].vector == {"dense": [1.0, 0.0, 0.0, 0.0]}
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


def test_several_queries_in_one_call(client: QdrantClient, filled: str) -> None:
    answers = client.query_batch_points(
        filled,
        [
            models.QueryRequest(query=[0, 1.0, 0, 0], using="dense", limit=1),
            models.QueryRequest(query=3, using="dense", limit=10),
        ],
    )
    assert ids(answers[0].points) == [3]
    assert 3 not in ids(answers[1].points) and len(answers[1].points) == 4


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (models.Filter(must=[models.FieldCondition(key="author", match=models.MatchValue(value="ada"))]), {1, 2}),
        (models.Filter(must_not=[models.FieldCondition(key="author", match=models.MatchAny(any=["ada", "bob"]))]), {5}),
        (
            models.Filter(
                should=[
                    models.FieldCondition(key="year", range=models.Range(gte=2024)),
                    models.FieldCondition(key="year", range=models.Range(lt=2021)),
                ]
            ),
            {1, 5},
        ),
        (models.Filter(must=[models.HasIdCondition(has_id=[2, UUID_A, 99])]), {2, UUID_A}),
        (models.Filter(must=[models.Filter(must_not=[models.HasIdCondition(has_id=[1, 2, 3])])]), {5, UUID_A}),
    ],
    ids=["value", "must_not-any", "should-range", "has_id", "nested"],
)
def test_filters(client: QdrantClient, filled: str, where: models.Filter, expected: set[object]) -> None:
    assert set(ids(client.scroll(filled, scroll_filter=where)[0])) == expected
    assert client.count(filled, count_filter=where).count == len(expected)


def test_scroll_pages_through_everything_once(client: QdrantClient, filled: str) -> None:
    seen: list[object] = []
    offset = None
    for _ in range(10):
        page, offset = client.scroll(filled, limit=2, offset=offset, with_payload=["author"], with_vectors=False)
        assert all(set(record.payload or {}) == {"author"} and record.vector is None for record in page)
        seen += ids(page)
        if offset is None:
            break
    assert len(seen) == 5 and set(seen) == {1, 2, 3, 5, UUID_A}


def test_facet_counts_the_authors_of_a_tenant(client: QdrantClient, filled: str) -> None:
    hits = client.facet(filled, "author", facet_filter=tenant("t1"), limit=1000).hits
    assert {hit.value: hit.count for hit in hits} == {"ada": 2, "bob": 2}


def test_retrieve_returns_what_was_written(client: QdrantClient, filled: str) -> None:
    found = client.retrieve(filled, [UUID_A, 404], with_vectors=True)
    assert ids(found) == [UUID_A]
    assert isinstance(found[0].vector, dict) and found[0].vector["dense"] == [0.0, 0.0, 1.0, 0.0]
    sparse = found[0].vector["bm25"]
    assert isinstance(sparse, models.SparseVector) and len(sparse.indices) == 4


def test_upsert_replaces_and_delete_removes(client: QdrantClient, filled: str) -> None:
    client.upsert(filled, [point(1, [0, 0, 0, 1], "rewritten", author="zoe", tenant="t1")], wait=True)
    assert (client.retrieve(filled, [1])[0].payload or {})["author"] == "zoe"
    client.delete(filled, models.PointIdsList(points=[1, UUID_A]), wait=True)
    assert client.count(filled).count == 3
    client.delete(filled, models.FilterSelector(filter=tenant("t1")), wait=True)
    assert ids(client.scroll(filled)[0]) == [5]


@pytest.mark.parametrize(
    "vector",
    [{"dense": [1.0, 0.0]}, {"unknown": [1.0, 0, 0, 0]}, {"bm25": [1.0, 0, 0, 0]}],
    ids=["dimension", "name", "kind"],
)
def test_a_vector_that_does_not_fit_is_refused_and_leaves_nothing(
    client: QdrantClient, collection: str, vector: dict[str, list[float]]
) -> None:
    good = point(1, [1, 0, 0, 0], "fits")
    with pytest.raises(UnexpectedResponse) as error:
        client.upsert(collection, [good, models.PointStruct(id=2, vector=vector, payload={})], wait=True)
    assert status_of(error) == 400
    assert client.count(collection).count == 0


def test_a_query_of_the_wrong_dimension_is_refused(client: QdrantClient, filled: str) -> None:
    with pytest.raises(UnexpectedResponse) as error:
        client.query_points(filled, query=[1.0, 0.0], using="dense")
    assert status_of(error) == 400
    assert b"expected dim: 4, got 2" in error.value.content


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("points/query", b"{"),
        ("points/query", b'{"limit": "many"}'),
        ("points/query", b'{"no_such_field": 1}'),
        ("points/scroll", b'{"offset": "not-an-id"}'),
        ("points/query", b'{"query": [1,0,0,0], "using": "dense", "limit": 0}'),
        ("points/count", b'{"filter": {"must": [{"has_id": [-1]}]}}'),
    ],
)
def test_bad_bodies_get_a_sentence_in_qdrants_shape(contract_url: str, collection: str, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json", "api-key": os.environ.get("QDRANT_CONTRACT_API_KEY", "")}
    answer = httpx.post(f"{contract_url}/collections/{collection}/{path}", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["status"]["error"]
    assert "Traceback" not in answer.text


def test_health_paths_answer(contract_url: str) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        assert httpx.get(contract_url + path).status_code == 200
    assert httpx.get(contract_url + "/").json()["version"]


def test_one_unnamed_vector_and_a_batch_upsert(client: QdrantClient) -> None:
    name = f"contract-{uuid4().hex[:8]}"
    client.create_collection(name, vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    try:
        batch = models.Batch(ids=[1, 2], vectors=[[1.0, 2.0], [3.0, 4.0]], payloads=[{"n": 1}, {"n": 2}])
        client.upsert(name, batch, wait=True)
        found = client.query_points(name, query=[1.0, 1.0], limit=1, with_vectors=True).points
        assert (found[0].id, found[0].score, found[0].vector) == (2, 7.0, [3.0, 4.0])
    finally:
        client.delete_collection(name)


def test_an_index_can_be_dropped_and_facet_needs_one(client: QdrantClient, filled: str) -> None:
    client.delete_payload_index(filled, "author", wait=True)
    assert set(client.get_collection(filled).payload_schema) == {"tenant"}
    with pytest.raises(UnexpectedResponse) as error:
        client.facet(filled, "author")
    assert status_of(error) == 400
