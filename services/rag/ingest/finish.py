"""The last step of reading a document: its description is bounded, and its text is cut."""

from __future__ import annotations

from dataclasses import replace

from services.rag.ingest.chunk import cut
from services.rag.ingest.clean import plain_field, web_url
from services.rag.ingest.documents import Document, Unreadable
from services.rag.ingest.limits import (
    MAX_AUTHOR_CHARS,
    MAX_CHUNK_CHARS,
    MAX_CHUNKS,
    MAX_TEXT_CHARS,
    MAX_TITLE_CHARS,
    MAX_URL_CHARS,
)


def finished(document: Document) -> Document:
    """The document with its pieces; what stands beside the text is shown in terminals, prompts and links.

    Raises:
        Unreadable: the text or its pieces are beyond a limit.
    """
    if len(document.text) > MAX_TEXT_CHARS:
        raise Unreadable(f"text longer than {MAX_TEXT_CHARS} characters")
    pieces = tuple(cut(document))
    if len(pieces) > MAX_CHUNKS:
        raise Unreadable(f"more than {MAX_CHUNKS} chunks")
    if sum(map(len, pieces)) > MAX_TEXT_CHARS:
        raise Unreadable(f"chunks longer than {MAX_TEXT_CHARS} characters together")
    if max(map(len, pieces), default=0) > MAX_CHUNK_CHARS:
        raise Unreadable(f"a chunk longer than {MAX_CHUNK_CHARS} characters")
    url = web_url(document.url)
    return replace(
        document,
        title=plain_field(document.title)[:MAX_TITLE_CHARS],
        author=plain_field(document.author)[:MAX_AUTHOR_CHARS],
        url=url if len(url) <= MAX_URL_CHARS else "",
        pieces=pieces,
    )
