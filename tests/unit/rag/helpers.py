"""Makes documents and hits."""

from __future__ import annotations

import atexit
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from services.rag.ingest import reader
from services.rag.ingest.chunk import cut
from services.rag.ingest.documents import Corpus, Document
from services.rag.ingest.git import Repository
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.reader import Given
from services.rag.stores.documents import Chunk, Hit


def hit(text: str, *, vector: Any = (1.0, 0.0), score: float = 1.0, title: str = "t", number: int = 0) -> Hit:
    chunk = Chunk(f"id-{text}", f"posts/a/{number}.md", 0, text, "h", title=title, author="Ada Quill", url="")
    return Hit(chunk, "posts", np.asarray(vector, dtype=np.float32), score)


def document(text: str, collection: str = "articles", **changes: str) -> Document:
    values = {"id": f"{collection}/ada/x.md", "title": "T", "author": "Ada Quill", "url": "", "date": "", **changes}
    whole = Document(collection=collection, text=text, **values)
    return replace(whole, pieces=tuple(cut(whole)))


ISOLATED = Isolated()
"""Reads the documents of all tests of this process."""
atexit.register(ISOLATED.close)


def read_path(path: Path, given: Given) -> Corpus:
    return reader.read_path(path, given, ISOLATED)


def read_repository(repository: Repository, given: Given) -> Corpus:
    return reader.read_repository(repository, given, ISOLATED)
