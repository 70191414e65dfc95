"""Makes documents and hits."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.rag.ingest.documents import Document
from services.rag.stores.documents import Chunk, Hit


def hit(text: str, *, vector: Any = (1.0, 0.0), score: float = 1.0, title: str = "t", number: int = 0) -> Hit:
    chunk = Chunk(f"id-{text}", f"posts/a/{number}.md", 0, text, "h", title=title, author="Ada Quill", url="")
    return Hit(chunk, "posts", np.asarray(vector, dtype=np.float32), score)


def document(text: str, collection: str = "articles", **changes: str) -> Document:
    values = {"id": f"{collection}/ada/x.md", "title": "T", "author": "Ada Quill", "url": "", "date": "", **changes}
    return Document(collection=collection, text=text, **values)
