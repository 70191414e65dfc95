"""Every point of a Qdrant as gzipped JSON Lines, over its HTTP interface, with Python's standard library alone.

It is a module of the command line and a program on the store's own machine, whose Python is 3.9: nothing newer here.

The file: a header, then per collection one line `{"collection": ...}` and a line `{"point": ...}` for each of its
points in the order of their ids, then `{"end": {collection: number of points}}`. A file without its end was cut off.

Run it as `python3 export.py FILE` with QDRANT_URL and, where needed, QDRANT_API_KEY and QDRANT_CA_FILE; it
prints the numbers of points as JSON.
"""

from __future__ import annotations

import gzip
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

FORMAT = "llm-twin-vectors"
VERSION = 1
PAGE = 256
"""Points of one request, an answer of some megabytes at most."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class StoreError(RuntimeError):
    """The store cannot be reached or refused; the message says which and why."""


class Store:
    """Qdrant's HTTP interface, as far as backup and restore need it."""

    def __init__(
        self, url: str, api_key: str | None = None, ca_file: str | None = None, timeout_seconds: float = 60
    ) -> None:
        """Connects on first use.

        Args:
            ca_file: certificates to trust instead of the system's.

        Raises:
            StoreError: `ca_file` cannot be read or holds no certificate.
        """
        self.url = url.rstrip("/")
        self._key = api_key
        self._timeout = timeout_seconds
        try:
            handlers = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None))]
        except OSError as error:
            raise StoreError(f"The certificate file {ca_file} cannot be used: {error}.") from None
        # A proxy of the caller's shell must not sit between a machine and its own loopback.
        own = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
        self._opener = urllib.request.build_opener(*handlers, *own)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The `result` of one call; None for what does not exist.

        Raises:
            StoreError: no answer, or another refusal than 404.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **({"api-key": self._key} if self._key else {})}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - a setting
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read())["result"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise StoreError(f"The store answered {method} {path} with {error.code}: {_reason(error)}") from None
        except (OSError, ValueError, KeyError) as error:
            why = getattr(error, "reason", None) or error or type(error).__name__
            raise StoreError(f"The store at {self.url} cannot be reached or broke off: {why}.") from None

    def collections(self) -> dict[str, dict[str, Any]]:
        """What is needed to make each collection again, by name, sorted: `configuration`.

        Raises:
            StoreError: as `call`.
        """
        listed = self.call("GET", "/collections") or {"collections": []}
        names = sorted(each["name"] for each in listed["collections"])
        found = {name: self.collection(name) for name in names}
        return {name: configuration for name, configuration in found.items() if configuration is not None}

    def collection(self, name: str) -> dict[str, Any] | None:
        """`configuration` of one collection, None when there is none.

        Raises:
            StoreError: as `call`.
        """
        info = self.call("GET", path_of(name))
        return None if info is None else configuration(info)

    def points(self, name: str) -> Iterator[dict[str, Any]]:
        """Every point of a collection with vectors and payload, in the order of the ids.

        Raises:
            StoreError: as `call`; also when the collection is deleted meanwhile.
        """
        offset = None
        while True:
            body = {"limit": PAGE, "with_payload": True, "with_vector": True, "offset": offset}
            page = self.call("POST", f"{path_of(name)}/points/scroll", body)
            if page is None:
                raise StoreError(f"The collection {name} was deleted while it was read.")
            yield from page["points"]
            offset = page["next_page_offset"]
            if offset is None:
                return


def path_of(name: str) -> str:
    """The path of a collection."""
    return f"/collections/{quote(name, safe='')}"


def configuration(info: dict[str, Any]) -> dict[str, Any]:
    """Of Qdrant's description of a collection: what decides results, not what tunes speed.

    `vectors`, `sparse_vectors` and `metadata` as in the call that makes a collection, and `indexes`: the type of each
    indexed payload field.
    """
    params, schema = info["config"]["params"], info.get("payload_schema") or {}
    return {
        "vectors": params.get("vectors") or {},
        "sparse_vectors": params.get("sparse_vectors") or {},
        "metadata": info["config"].get("metadata") or {},
        "indexes": {field: schema[field].get("params") or schema[field]["data_type"] for field in sorted(schema)},
    }


def export(store: Store, out: IO[bytes]) -> dict[str, int]:
    """Write every collection of `store` to `out`; returns the numbers of points by collection.

    Points that are written meanwhile may be in it or not: it is no snapshot of one moment.

    Raises:
        StoreError: as `Store.call`; `out` then has no end and is refused by a restore.
    """
    counts: dict[str, int] = {}
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed:

        def write(line: dict[str, Any]) -> None:
            packed.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")

        write({"format": FORMAT, "version": VERSION, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        for name, made in store.collections().items():
            write({"collection": {"name": name, **made}})
            counts[name] = 0
            for point in store.points(name):
                write({"point": {key: point.get(key) for key in ("id", "vector", "payload")}})
                counts[name] += 1
        write({"end": counts})
    return counts


def export_to(store: Store, file: Path) -> dict[str, int]:
    """`export` into a file that appears under its name only when it is whole.

    Raises:
        StoreError: as `export`.
        OSError: the file cannot be written.
    """
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("wb") as out:
            counts = export(store, out)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        if draft.exists():
            draft.unlink()
    return counts


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read(2000).decode(errors="replace")
    try:
        return str(json.loads(text)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or str(error.reason)


def main() -> int:
    """Back up what QDRANT_URL names; 1: it failed, with one sentence."""
    try:
        store = Store(os.environ["QDRANT_URL"], os.environ.get("QDRANT_API_KEY"), os.environ.get("QDRANT_CA_FILE"))
        print(json.dumps(export_to(store, Path(sys.argv[1]))))
    except (StoreError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
