"""Downloads the documents of a bucket into a folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from services.rag.ingest.documents import IngestError, Skipped
from services.rag.ingest.formats import MAX_BYTES, format_of, no_reader_reason, too_large_reason, vendored
from services.rag.ingest.walk import VENDORED

# Small objects cost a round trip each; more connections are no faster and need more memory.
CONNECTIONS = 8
_MISSING = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "access is denied; rag.documents_bucket names the bucket that the service may read",
}


def is_s3_url(source: str) -> bool:
    """Whether a source is in S3."""
    return source.startswith("s3://")


def fetch(url: str, into: Path) -> tuple[Path, list[Skipped]]:
    """Download what is below `s3://bucket/prefix` (or one object) into the folder `into`.

    Objects that have no reader or are too large are not fetched.

    Returns:
        The folder, or the file when the address is that of one object; and what was left out.

    Raises:
        IngestError: the address is none, nothing is there, or the bucket cannot be read.
    """
    # Imported here, since loading it is slow and a local ingest does not need it.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    parts = urlsplit(url)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if not bucket:
        raise IngestError(f"{url} names no bucket: an address reads s3://bucket/prefix.")
    config = Config(max_pool_connections=CONNECTIONS, retries={"mode": "standard", "max_attempts": 5})
    try:
        client = boto3.client("s3", config=config)
        found = list(_listed(client, bucket, f"{prefix}/" if prefix else ""))
        base = prefix
        if not found and prefix:
            found = [item for item in _listed(client, bucket, prefix) if item["Key"] == prefix]
            base = str(PurePosixPath(prefix).parent).removeprefix(".")
        if not found:
            raise IngestError(f"{url} holds no objects.")
        wanted, skipped = _chosen(found, base)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for _ in pool.map(lambda item: _download(client, bucket, item[0], into / item[1]), wanted.items()):
                pass
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise IngestError(f"{url}: {_MISSING.get(code, f'S3 answered {code}')}.") from None
    except BotoCoreError as error:
        raise IngestError(f"{url} cannot be read: {error}.") from None
    except OSError as error:
        full = "the temporary folder is full; use a narrower prefix, or a larger rag.tmpfs_mb"
        raise IngestError(f"{url}: {full if error.errno == errno.ENOSPC else error.strerror}.") from None
    single = base != prefix
    return (into / PurePosixPath(prefix).name if single else into), skipped


def _listed(client: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", ())


def _chosen(found: list[dict[str, Any]], base: str) -> tuple[dict[str, str], list[Skipped]]:
    """Key -> path below the folder of what is fetched, and what is not."""
    wanted: dict[str, str] = {}
    skipped: list[Skipped] = []
    left_out: set[str] = set()
    for item in found:
        key = str(item["Key"])
        name = key.removeprefix(base).lstrip("/")
        parts = PurePosixPath(name).parts
        if key.endswith("/") or any(part.startswith(".") and part != ".gitignore" for part in parts):
            continue
        if depth := vendored(parts[:-1]):
            left_out.add("/".join(parts[:depth]) + "/")
        elif parts[-1] == ".gitignore":
            wanted[key] = name
        elif "//" in name or "\0" in name or any(len(part.encode()) > 255 for part in parts):
            skipped.append(Skipped(name, "its key is no path"))
        elif (known := format_of(name)) is None:
            skipped.append(Skipped(name, no_reader_reason(name)))
        elif int(item["Size"]) > MAX_BYTES[known[0]]:
            skipped.append(Skipped(name, too_large_reason(MAX_BYTES[known[0]]), unreadable=True))
        else:
            wanted[key] = name
    return wanted, skipped + [Skipped(name, VENDORED) for name in sorted(left_out)]


def _download(client: Any, bucket: str, key: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = client.get_object(Bucket=bucket, Key=key)["Body"]
    with path.open("wb") as file:
        for block in body.iter_chunks(256 * 1024):
            file.write(block)
