"""Limits of one document, so that no document can stop an ingest, however it was made."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024

# 5 MiB of prose, the largest file that is read, make about 8,000 chunks.
MAX_CHUNKS = 10_000
# All chunks of a document together: twice the largest file, since headings are repeated.
MAX_TEXT_CHARS = 10 * MEBIBYTE
# One write holds 64 chunks, and Qdrant takes 32 MiB at once.
MAX_CHUNK_CHARS = 100_000
# Of what stands beside the text in every chunk.
MAX_TITLE_CHARS = 1000
MAX_AUTHOR_CHARS = 300
MAX_URL_CHARS = 2000


@dataclass(frozen=True)
class Limits:
    """What reading one document may cost.

    Attributes:
        seconds: on the clock. As a web page, 5 MiB of prose take a second of a core, of which the smallest task has a
            quarter; as many elements as fit into 1 MiB take five.
        memory_bytes: beyond what the process needs without a document; only Linux enforces it. A web page of 5 MiB
            takes 50 MB with prose, and 740 MB with as many elements as fit. A task has 1 GB unless it is set
            otherwise, half of which the embedding model and the texts need.
    """

    seconds: float = 30.0
    memory_bytes: int = 384 * MEBIBYTE


LIMITS = Limits()
