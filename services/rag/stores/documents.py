"""Documents as the store holds and finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    # Not at run time: the process that reads documents needs none of it.
    import numpy as np
    from numpy.typing import NDArray

COLLECTIONS = ("posts", "articles", "repositories")

Vector: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True, kw_only=True)
class Described:
    """A document's description, which its chunks carry as well.

    Attributes:
        date: ISO date of the document; empty when unknown.
        language: of code; empty for prose.
    """

    title: str
    author: str
    url: str
    date: str = ""
    language: str = ""


@dataclass(frozen=True)
class Chunk(Described):
    """A piece of a document, as it is stored and shown to the model."""

    id: str
    document_id: str
    chunk_index: int
    text: str
    content_hash: str


@dataclass(frozen=True)
class Hit:
    """A chunk that a search found.

    Attributes:
        chunk: what was found.
        collection: where.
        vector: its embedding, normalised.
        score: the higher the better; the scale is that of the step that set it.
    """

    chunk: Chunk
    collection: str
    vector: Vector
    score: float


def chunk_from_payload(point_id: str, payload: dict[str, Any]) -> Chunk:
    """The chunk that a point's payload describes."""
    return Chunk(
        id=point_id,
        document_id=str(payload.get("document_id", "")),
        chunk_index=int(payload.get("chunk_index", 0)),
        title=str(payload.get("title", "")),
        author=str(payload.get("author", "")),
        text=str(payload.get("text", "")),
        url=str(payload.get("url") or ""),
        content_hash=str(payload.get("content_hash", "")),
        date=str(payload.get("date") or ""),
        language=str(payload.get("language") or ""),
    )
