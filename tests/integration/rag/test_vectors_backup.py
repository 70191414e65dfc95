"""Backup and restore of the example store, over TLS with the certificate that the store's own machine makes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr
from qdrant_client import QdrantClient, models

from infra.constructs.vectors.machine import packed_programs
from localcloud.qdrant.app import create_app
from localcloud.qdrant.engine import Engine
from localcloud.state import State
from localcloud.store_keys import make_store_keys
from services.common.settings import ConfigurationError
from services.common.tls import ssl_context_from
from services.rag.embeddings.pool import CpuPool
from services.rag.ingest.run import ingest
from services.rag.settings import StoreSettings
from services.rag.stores.factory import open_store
from services.vectors.export import PAGE, Store, StoreError, export_to
from tests.asgi_server import serving
from tests.aws import aws_environment
from tests.integration.rag.fakes import WordEmbedder
from tests.integration.rag.local_servers import serving as process
from twin.target.errors import TwinError
from twin.target.paths import CORPUS
from twin.target.stage import Stage
from twin.vectors.backup import backup, restore_from, store_of
from twin.vectors.backup_file import MAX_LINE_BYTES, read
from twin.vectors.restore import restore

KEY, READ_KEY = "key-of-the-store", "key-that-reads"
COLLECTIONS = ["articles", "posts", "repositories"]


class Faulty:
    """The server, which stops taking points after a while when told to."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.writes_left: int | None = None

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "http" and scope["method"] == "PUT" and scope["path"].endswith("/points"):
            if self.writes_left == 0:
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b"going down"})
                return
            if self.writes_left is not None:
                self.writes_left -= 1
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Machine:
    """What the store's machine has in its folder, and the store that it serves."""

    folder: Path
    url: str
    app: Faulty

    @property
    def certificate(self) -> Path:
        return self.folder / "data/tls/cert.pem"

    @property
    def store(self) -> Store:
        return Store(self.url, KEY, str(self.certificate))

    def client(self) -> QdrantClient:
        return QdrantClient(
            url=self.url,
            api_key=KEY,
            cloud_inference=True,
            check_compatibility=False,
            verify=ssl_context_from(self.certificate),
        )


def unpack(folder: Path) -> None:
    """What the machine's user data does with the programs."""
    archive = base64.b64decode(packed_programs())
    subprocess.run(["tar", "-xzC", str(folder)], input=archive, check=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    unpack(folder)
    tls = folder / "data/tls"
    tls.mkdir(parents=True)
    (folder / "data/backup").mkdir()
    subprocess.run([str(folder / "certificate"), str(tls), "10.40.0.7"], check=True, capture_output=True)
    app = Faulty(create_app(Engine(folder / "data/storage"), KEY, READ_KEY))
    with serving(app, certificate=tls / "cert.pem", key=tls / "key.pem") as url:
        yield Machine(folder, url, app)


async def fill(machine: Machine) -> int:
    """Ingest the example corpus as the service does it, with the certificate pinned; returns the number of chunks."""
    pool = CpuPool(WordEmbedder(), 1)
    settings = StoreSettings(
        qdrant_url=machine.url,
        qdrant_api_key=SecretStr(KEY),
        qdrant_ca_pem=machine.certificate.read_text(),
        embedding_model_dir=Path("unused"),
    )
    store = open_store(settings, pool.model_id, pool.dimension)
    try:
        return (await ingest(CORPUS, store, pool)).chunks_written
    finally:
        await store.close()
        pool.close()


@pytest.fixture(scope="module")
def example(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the example store."""
    assert asyncio.run(fill(machine)) > 50
    file = tmp_path_factory.mktemp("backup") / "example.jsonl.gz"
    export_to(machine.store, file)
    return file


def everything(client: QdrantClient, collection: str) -> dict[Any, tuple[Any, Any]]:
    records, following = client.scroll(collection, limit=10_000, with_payload=True, with_vectors=True)
    assert following is None
    return {record.id: (record.vector, record.payload) for record in records}


def names(machine: Machine) -> list[str]:
    return list(machine.store.collections())


def quietly(line: str) -> None:
    """No progress."""


def test_a_copy_has_every_point_vector_and_payload(
    machine: Machine, example: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", KEY)
    monkeypatch.setenv("QDRANT_CA_FILE", str(machine.certificate))
    file = str(tmp_path / "backup.jsonl.gz")
    where, counts = backup("dev", file, url=machine.url)
    restored = restore_from("dev", where, quietly, url=machine.url, into="copy-")
    assert [each.collection for each in restored] == [f"copy-{name}" for name in COLLECTIONS]
    assert {each.collection.removeprefix("copy-"): each.points for each in restored} == counts
    client = machine.client()
    for name in COLLECTIONS:
        original, copy = everything(client, name), everything(client, f"copy-{name}")
        assert original == copy and len(original) == counts[name] > 0
        before, after = client.get_collection(name), client.get_collection(f"copy-{name}")
        assert before.config.params == after.config.params
        assert before.config.metadata == after.config.metadata
        assert before.payload_schema == after.payload_schema and "date" in after.payload_schema
        for query, using in (
            (models.Document(text="queue health", model="qdrant/bm25"), "bm25"),
            ([0.1] * 64, "dense"),
        ):
            found = [client.query_points(each, query=query, using=using).points for each in (name, f"copy-{name}")]
            assert [(hit.id, hit.score) for hit in found[0]] == [(hit.id, hit.score) for hit in found[1]]
        client.delete_collection(f"copy-{name}")
    assert not list(tmp_path.glob(".*"))


def test_a_stages_own_store_is_backed_up_to_a_bucket_and_comes_back(
    machine: Machine, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWIN_VECTORS__URL", machine.url)
    monkeypatch.setenv("QDRANT_CA_FILE", str(machine.certificate))
    monkeypatch.delenv("QDRANT_URL", raising=False)
    with process("localcloud.emulator", "/_ministack/health", tmp_path) as url:
        for name, value in aws_environment(url).items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="kept")
        secrets = boto3.client("secretsmanager")
        keys = {
            output: secrets.create_secret(Name=output, SecretString=key)["ARN"]
            for output, key in (("QdrantApiKeySecretArn", READ_KEY), ("QdrantWriteKeySecretArn", KEY))
        }
        # No stack is deployed there; reading the outputs of one has its own tests.
        monkeypatch.setattr("twin.target.vector_store.outputs", lambda stage: keys)
        where, counts = backup("dev", "s3://kept/by-hand/now.jsonl.gz")
        restored = restore_from("dev", where, quietly, into="far-")
        with pytest.raises(TwinError, match="names no object"):
            backup("dev", "s3://kept/")
    assert {each.collection.removeprefix("far-"): each.points for each in restored} == counts
    client = machine.client()
    for name in COLLECTIONS:
        client.delete_collection(f"far-{name}")


def test_the_local_clouds_store_is_the_local_stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_store_keys(tmp_path)
    monkeypatch.setattr("twin.target.vector_store.STATE_ROOT", tmp_path)
    # A shell that is set up for another store must not lead a local restore there.
    monkeypatch.setenv("QDRANT_URL", "https://elsewhere.example.com")
    stage = Stage("local", "us-east-1", local=State(pid=1, ports={"qdrant": 6444}))
    assert store_of("local", stage, None).url == "http://127.0.0.1:6444"
    assert store_of("local", stage, "http://127.0.0.1:6555/").url == "http://127.0.0.1:6555"
    assert store_of("dev", Stage("dev", "us-east-1"), None).url == "https://elsewhere.example.com"


def test_an_interrupted_restore_is_finished_by_the_next(machine: Machine, example: Path) -> None:
    machine.app.writes_left = 1
    try:
        with pytest.raises(TwinError, match=r"503: going down.*not finished.*run the same command again"):
            restore(machine.store, example, quietly, into="cut-")
    finally:
        machine.app.writes_left = None
    client = machine.client()
    half = {name: client.count(f"cut-{name}").count for name in COLLECTIONS}
    assert 0 < sum(half.values()) < sum(len(held.points) for held in read(example).values())
    restored = restore(machine.store, example, quietly, into="cut-")
    assert all(each.others == 0 for each in restored)
    for name in COLLECTIONS:
        assert everything(client, name) == everything(client, f"cut-{name}")
        client.delete_collection(f"cut-{name}")


def test_what_differs_is_kept_unless_told_otherwise(machine: Machine, example: Path) -> None:
    restore(machine.store, example, quietly, into="own-")
    client = machine.client()
    changed, dropped = sorted(everything(client, "own-posts"))[:2]
    client.delete("own-posts", models.PointIdsList(points=[dropped]), wait=True)
    vector = {"dense": [1.0] + [0.0] * 63, "bm25": models.SparseVector(indices=[7], values=[1.5])}
    new = "00000000-0000-4000-8000-000000000001"
    for key in (changed, new):
        client.upsert("own-posts", [models.PointStruct(id=key, vector=vector, payload={"text": "newer"})], wait=True)
    before = everything(client, "own-posts")
    with pytest.raises(TwinError, match=r"own-posts holds 1 points that differ .* and 1 that it has not"):
        restore(machine.store, example, quietly, into="own-")
    assert everything(client, "own-posts") == before
    restored = {each.collection: each for each in restore(machine.store, example, quietly, into="own-", overwrite=True)}
    assert restored["own-posts"].others == 1
    after = everything(client, "own-posts")
    assert after.pop(new) == before[new]
    assert after == everything(client, "posts")
    for name in COLLECTIONS:
        client.delete_collection(f"own-{name}")


def test_another_dimension_or_model_is_refused_before_anything_is_written(machine: Machine, example: Path) -> None:
    client = machine.client()
    dense = {"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)}
    client.create_collection("odd-repositories", vectors_config=dense)
    with pytest.raises(TwinError, match=r"other vectors \(size, distance\).*\(4, 'Cosine'\).*\(64, 'Cosine'\)"):
        restore(machine.store, example, quietly, into="odd-", overwrite=True)
    client.delete_collection("odd-repositories")
    dense = {"dense": models.VectorParams(size=64, distance=models.Distance.COSINE)}
    sparse = {"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)}
    made = {"embedding_model_id": "another/model"}
    client.create_collection("odd-posts", vectors_config=dense, sparse_vectors_config=sparse, metadata=made)
    with pytest.raises(TwinError, match=r"other embedding model.*another/model there, test/words here"):
        restore(machine.store, example, quietly, into="odd-")
    client.delete_collection("odd-posts")
    assert names(machine) == COLLECTIONS


def lines(example: Path) -> list[bytes]:
    return gzip.decompress(example.read_bytes()).splitlines(keepends=True)


def longer(example: Path) -> bytes:
    found = lines(example)
    point = json.loads(found[2])
    point["point"]["vector"]["dense"].append(0.5)
    return gzip.compress(b"".join([*found[:2], json.dumps(point).encode() + b"\n", *found[3:]]))


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "cut": (lambda file: file.read_bytes()[:-2000], "cut off or damaged"),
    "without end": (lambda file: gzip.compress(b"".join(lines(file)[:-1])), "its end is missing"),
    "one point less": (
        lambda file: gzip.compress(b"".join([*lines(file)[:2], *lines(file)[3:]])),
        "counts other points",
    ),
    "damaged": (lambda file: file.read_bytes()[:3000] + b"\0" * 50 + file.read_bytes()[3050:], "damaged"),
    "foreign": (lambda file: gzip.compress(b'{"id": 1}\n'), "is no backup of vectors"),
    "text": (lambda file: b"hello\n", "is no backup of vectors"),
    "empty": (lambda file: b"", "is no backup of vectors"),
    "newer": (lambda file: gzip.compress(b'{"format": "llm-twin-vectors", "version": 2}\n'), "version 2; this release"),
    "dimension": (longer, "has 65 dimensions, its collection 64"),
    "long line": (lambda file: with_line(file, b" " * (MAX_LINE_BYTES + 1)), "line 2 is longer than"),
    "point first": (
        lambda file: with_line(file, b'{"point": {"id": 1, "vector": [0.5], "payload": null}}'),
        "before its collection",
    ),
}
WRONG_LINES = (
    *("[]", "7", "null", '"text"', "{", "[" * 5000, '{"collection": null, "point": 7}'),
    *('{"end": 7}', '{"end": {"a": "b"}}'),
    *('{"collection": 7}', '{"collection": {}}', '{"collection": {"name": 7}}'),
    '{"collection": {"name": "x", "vectors": 7}}',
    *('{"point": {}}', '{"point": {"id": 1}}', '{"point": {"id": {}, "vector": [], "payload": null}}'),
    *(
        f'{{"point": {{"id": 1, "vector": {vector}, "payload": null}}}}'
        for vector in (
            *('["a"]', "7", "[1e39]", "[NaN]", "[[0.5], 7]"),
            '{"s": {"indices": [1, 2], "values": [0.5]}}',
            '{"s": {"indices": [4294967296], "values": [0.5]}}',
        )
    ),
    '{"point": {"id": 1, "vector": [0.5], "payload": 7}}',
    '{"point": {"id": -1, "vector": [0.5], "payload": null}}',
)


def with_line(example: Path, line: bytes) -> bytes:
    """The backup with a further line after its header."""
    header, *rest = lines(example)
    return gzip.compress(b"".join([header, line, b"\n", *rest]))


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_line_that_is_none_of_a_backup_is_one_sentence(example: Path, tmp_path: Path, line: str) -> None:
    file = tmp_path / "wrong"
    file.write_bytes(with_line(example, line.encode()))
    with pytest.raises(TwinError, match="damaged"):
        read(file)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_no_whole_backup_changes_nothing(
    kind: str, machine: Machine, example: Path, tmp_path: Path
) -> None:
    make, said = BROKEN[kind]
    file = tmp_path / "broken"
    file.write_bytes(make(example))
    with pytest.raises(TwinError, match=said):
        restore(machine.store, file, quietly, into="bad-")
    assert names(machine) == COLLECTIONS


def test_a_store_out_of_reach_says_why_and_leaves_no_file(
    machine: Machine, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.jsonl.gz"
    for store, said in (
        (Store("http://127.0.0.1:9"), "cannot be reached or broke off: .*refused"),
        (Store(machine.url, "wrong", str(machine.certificate)), "40[13]"),
        (Store(machine.url, KEY), "CERTIFICATE_VERIFY_FAILED"),
    ):
        with pytest.raises(StoreError, match=said):
            export_to(store, file)
        with pytest.raises(StoreError, match=said):
            restore(store, example, quietly, into="far-")
    with pytest.raises(StoreError, match=r"certificate file .* cannot be used"):
        Store(machine.url, KEY, str(tmp_path / "none.pem"))
    with pytest.raises(TwinError, match="cannot be reached"):
        backup("dev", str(file), url="http://127.0.0.1:9")
    monkeypatch.setenv("TWIN_VECTORS", '{"url": null, "hosted": {}}')
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("QDRANT_URL", raising=False)
    with pytest.raises(TwinError, match=r"stage dev is closed to the outside.*tunnel"):
        backup("dev", str(file))
    assert list(tmp_path.iterdir()) == [] and names(machine) == COLLECTIONS


def test_the_service_refuses_certificates_that_are_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", machine.url)
    monkeypatch.setenv("EMBEDDING_MODEL_DIR", "unused")
    monkeypatch.setenv("QDRANT_CA_PEM", "The machine puts its certificate here when it starts.")
    with pytest.raises(ConfigurationError, match=r"QDRANT_CA_PEM is wrong: .*no usable certificate"):
        StoreSettings.load()
    monkeypatch.setenv("QDRANT_CA_PEM", machine.certificate.read_text())
    monkeypatch.setenv("QDRANT_CA_FILE", str(machine.certificate))
    with pytest.raises(ConfigurationError, match="QDRANT_CA_FILE is set as well"):
        StoreSettings.load()


# Stands for the AWS command line, which is on the machine's image: it hands out the key and notes what it was asked.
AWS = """#!/bin/bash
echo "$*" >>"$CALLS"
case "$1 $2" in
  "secretsmanager get-secret-value") echo key-that-reads ;;
  "s3 cp") cp "$4" "$CALLS.uploaded" ;;
esac
"""


def test_the_machine_backs_itself_up_in_the_same_form(machine: Machine, example: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "aws").write_text(AWS)
    (programs / "aws").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    calls = tmp_path / "calls"
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "DATA": str(machine.folder / "data"),
        "PORT": machine.url.rpartition(":")[2],
        "READ_KEY_SECRET_ARN": "arn:of:the:key",
        "BACKUP_BUCKET": "backups",
        "METRIC_NAMESPACE": "LLMTwin",
        "STAGE": "dev",
    }
    for program in ("backup", "pulse"):
        subprocess.run([str(machine.folder / program)], env=environment, check=True, timeout=60)
    said = calls.read_text().splitlines()
    assert said[0].startswith("secretsmanager get-secret-value --secret-id arn:of:the:key")
    assert "s3://backups/daily/" in said[1] and said[1].endswith(".jsonl.gz")
    assert "VectorBackups --value 1 --dimensions Stage=dev" in said[2] and "VectorDiskUsed" in said[3]
    uploaded = read(Path(f"{calls}.uploaded"))
    assert {name: held.points for name, held in uploaded.items()} == {
        name: held.points for name, held in read(example).items()
    }
    assert list((machine.folder / "data/backup").iterdir()) == []


def test_a_silent_store_gives_no_sign_of_life(machine: Machine, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "DATA": str(machine.folder / "data"), "PORT": "9"}
    for program in ("pulse", "backup"):
        ran = subprocess.run([str(machine.folder / program)], env=environment, check=False, capture_output=True)
        assert ran.returncode != 0


def test_the_certificate_stays_while_it_fits_the_address(machine: Machine, tmp_path: Path) -> None:
    program = str(machine.folder / "certificate")

    def made(address: str) -> str:
        subprocess.run([program, str(tmp_path), address], check=True, capture_output=True)
        return (tmp_path / "cert.pem").read_text()

    first = made("10.40.0.9")
    assert made("10.40.0.9") == first
    assert made("10.40.0.10") != first
    assert {file.name for file in tmp_path.iterdir()} == {"cert.pem", "key.pem"}
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


def test_more_points_than_a_page_are_all_in_it(machine: Machine, example: Path, tmp_path: Path) -> None:
    client = machine.client()
    client.create_collection("many", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    points = [models.PointStruct(id=key, vector=[key / 3, -1.0], payload=None) for key in range(PAGE + 7)]
    client.upsert("many", points, wait=True)
    try:
        counts = export_to(machine.store, tmp_path / "all")
        assert counts["many"] == PAGE + 7
        (restored,) = [
            each for each in restore(machine.store, tmp_path / "all", quietly, into="p-") if each.collection == "p-many"
        ]
        assert (restored.points, restored.others) == (PAGE + 7, 0)
        assert everything(client, "p-many") == everything(client, "many")
    finally:
        for name in names(machine):
            if name == "many" or name.startswith("p-"):
                client.delete_collection(name)
