"""One list of candidates out of what several collections found."""

from __future__ import annotations

from collections.abc import Sequence

from services.rag.stores.documents import Hit


def fuse(per_collection: Sequence[Sequence[Hit]], limit: int) -> list[Hit]:
    """The best hits of all collections by their score, without texts that repeat."""
    best: dict[str, Hit] = {}
    found = [hit for hits in per_collection for hit in hits]
    # Scores of ranks tie between collections: by id, the same question always gives the same candidates.
    for hit in sorted(found, key=lambda hit: (-hit.score, hit.chunk.id)):
        best.setdefault(" ".join(hit.chunk.text.split()), hit)
    return list(best.values())[:limit]
