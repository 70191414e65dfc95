"""Reads a source: a path, a bucket, or the address of a repository."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from services.rag.ingest.documents import Corpus, Skipped
from services.rag.ingest.git import clone, describe, folder_name, is_git_url, is_repository
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.reader import Given, read_path, read_repository
from services.rag.ingest.s3 import fetch, is_s3_url


def read_source(source: str | Path, given: Given, isolated: Isolated) -> Corpus:
    """Read everything that `source` holds: a path, `s3://bucket/prefix`, or the address of a Git repository.

    A remote source is copied into a temporary folder, which is removed afterwards.

    Raises:
        IngestError: it cannot be read, or does not say what it holds; the message says what to do.
    """
    if isinstance(source, Path):
        return _read_here(source, given, isolated)
    if is_s3_url(source):
        with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
            name = source.rstrip("/").rpartition("/")[2]
            root = Path(folder) / name
            root.mkdir()
            path, skipped = fetch(source, root)
            corpus = read_path(path, given, isolated)
        return dataclasses.replace(corpus, skipped=[*(_named(corpus, left) for left in skipped), *corpus.skipped])
    if is_git_url(source):
        with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
            root = Path(folder) / folder_name(source)
            clone(source, root)
            return read_repository(describe(root), given, isolated)
    return _read_here(Path(source), given, isolated)


def _named(corpus: Corpus, skipped: Skipped) -> Skipped:
    """Objects are named as the documents beside them are: in a tree by their path alone."""
    return dataclasses.replace(skipped, id=f"{corpus.prefix}/{skipped.id}") if corpus.prefix else skipped


def _read_here(path: Path, given: Given, isolated: Isolated) -> Corpus:
    return read_repository(describe(path), given, isolated) if is_repository(path) else read_path(path, given, isolated)
