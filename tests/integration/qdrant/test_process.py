"""The process: kills, restarts, several clients at once, keys, and two servers over one folder."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from localcloud.qdrant.__main__ import unreadable
from localcloud.store_keys import StoreKeys
from tests.integration.qdrant.conftest import Server, connect, create, point

# Its warning is right where there is a network.
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

KEY, READ_ONLY_KEY = "right", "reads"


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key that no test ends."""
    keys = StoreKeys(KEY, READ_ONLY_KEY).environment
    server = Server(tmp_path_factory.mktemp("shared"), **keys)
    server.start()
    yield server
    server.end(signal.SIGTERM)


def test_acknowledged_writes_survive_a_kill_and_a_clean_end(own_server: Server) -> None:
    client = connect(own_server.url)
    create(client, "posts")
    client.upsert("posts", [point(n, [1, n, 0, 0], f"text {n}", author="ada", tenant="t") for n in range(300)])
    client.delete("posts", [7])
    client.upsert("posts", [point(8, [0, 0, 0, 1], "changed", author="bob", tenant="t")], wait=True)
    own_server.end(signal.SIGKILL)
    own_server.start()
    assert client.count("posts").count == 299
    assert (client.retrieve("posts", [8])[0].payload or {})["text"] == "changed"
    assert client.get_collection("posts").config.metadata == {"embedding_model_id": "tests/model", "dimension": 4}
    assert {hit.value: hit.count for hit in client.facet("posts", "author").hits} == {"ada": 298, "bob": 1}

    client.upsert("posts", [point(300, [1, 0, 0, 0], "kept")], wait=True)
    create(client, "dropped")
    client.delete_collection("dropped")
    assert own_server.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    own_server.start()
    assert client.count("posts").count == 300
    assert (client.retrieve("posts", [300])[0].payload or {})["text"] == "kept"
    assert [one.name for one in client.get_collections().collections] == ["posts"]


def test_several_clients_write_and_search_at_once(shared_server: Server) -> None:
    client = connect(shared_server.url, KEY)
    create(client, "shared")
    client.upsert("shared", [point(n, [1, n, 0, 0], "seed") for n in range(1, 6)], wait=True)
    together = threading.Barrier(2)

    def write(first: int) -> None:
        mine = connect(shared_server.url, KEY)
        together.wait(60)
        for start in range(first, first + 100, 10):
            batch = [
                point(n, [1, n, 0, 0], "a point", author=f"w{first}", tenant="t") for n in range(start, start + 10)
            ]
            mine.upsert("shared", batch, wait=True)
            assert len(mine.query_points("shared", query=[1.0, start, 0, 0], using="dense", limit=5).points) == 5

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(write, first) for first in (1000, 2000)]:
            done.result()
    assert client.count("shared").count == 205
    assert {hit.value: hit.count for hit in client.facet("shared", "author").hits} == {"w1000": 100, "w2000": 100}


def test_a_key_is_asked_of_everything_but_health(shared_server: Server) -> None:
    assert {one.name for one in connect(shared_server.url, KEY).get_collections().collections} <= {"shared"}
    bearer = {"authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{shared_server.url}/collections", headers=bearer).status_code == 200
    for key in ("wrong", None):
        with pytest.raises(UnexpectedResponse) as error:
            connect(shared_server.url, key).get_collections()
        assert error.value.status_code == 401
    for path in ("", "/healthz", "/readyz", "/livez"):
        assert httpx.get(f"{shared_server.url}{path}").status_code == 200
    assert httpx.get(f"{shared_server.url}/metrics").status_code == 401


def test_the_read_only_key_searches_and_changes_nothing(shared_server: Server) -> None:
    writer, reader = connect(shared_server.url, KEY), connect(shared_server.url, READ_ONLY_KEY)
    create(writer, "kept")
    writer.upsert("kept", [point(1, [1, 0, 0, 0], "one", tenant="a")], wait=True)
    assert [one.name for one in reader.get_collections().collections if one.name == "kept"] == ["kept"]
    assert reader.get_collection("kept").points_count == reader.count("kept").count == 1
    assert [hit.id for hit in reader.query_points("kept", query=[1, 0, 0, 0], using="dense").points] == [1]
    assert len(reader.scroll("kept")[0]) == len(reader.retrieve("kept", [1])) == 1
    assert [hit.value for hit in reader.facet("kept", "tenant").hits] == ["a"]
    writes = (
        lambda: create(reader, "new"),
        lambda: reader.upsert("kept", [point(2, [0, 1, 0, 0], "two")]),
        lambda: reader.delete("kept", [1]),
        lambda: reader.create_payload_index("kept", "date", models.PayloadSchemaType.DATETIME),
        lambda: reader.delete_payload_index("kept", "tenant"),
        lambda: reader.delete_collection("kept"),
    )
    for write in writes:
        with pytest.raises(UnexpectedResponse) as error:
            write()
        assert error.value.status_code == 403
        assert json.loads(error.value.content)["status"]["error"] == "Forbidden: Global manage access is required"
    assert writer.count("kept").count == 1 and not writer.collection_exists("new")
    assert set(writer.get_collection("kept").payload_schema) == {"author", "tenant"}
    writer.delete_collection("kept")


def test_keys_are_not_among_the_arguments(shared_server: Server) -> None:
    assert KEY not in shared_server.command() and READ_ONLY_KEY not in shared_server.command()


def test_a_folder_has_one_owner(shared_server: Server) -> None:
    second = Server(shared_server.data)
    ended = subprocess.run(second.command(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "in use by another Qdrant server" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_ends_it_with_a_sentence(shared_server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path / "other")
    second.port = shared_server.port
    ended = subprocess.run(second.command(), capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_collection_that_cannot_be_opened_is_named_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "collections" / "damaged"
    folder.mkdir(parents=True)
    (folder / "collection.json").write_text('{"name": "posts"')
    ended = subprocess.run(Server(tmp_path / "data").command(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "cannot be opened (" in ended.stderr and "Nothing was deleted" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (folder / "collection.json").read_text() == '{"name": "posts"'


def test_a_full_disk_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    told = unreadable(tmp_path, ValueError("short read"))
    assert "the disk has 0 MB left" in told and "nothing is lost" in told
