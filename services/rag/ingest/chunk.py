"""Cuts documents into chunks: posts whole, prose by headings (code blocks never in two), code by its structure."""

from __future__ import annotations

import hashlib
import re
import uuid
from urllib.parse import quote

from services.rag.ingest.chunk_code import split_code
from services.rag.ingest.documents import Document
from services.rag.stores.documents import Chunk

# MiniLM reads 256 word pieces, about 1,000 characters; more would be stored but not seen by the dense search.
MAX_CHARS = 1000
# A shorter section, such as a heading with one sentence, joins the one before.
MIN_CHARS = 200
# Changes of the rules here change the hash, so that the next ingest writes every chunk again.
VERSION = 2
_NAMESPACE = uuid.UUID("6f0a1d0e-5b0c-5f5e-9a53-0d9a6c7f2f41")
_HEADING = re.compile(r"^#{1,6}\s+\S")
_FENCE = re.compile(r"^\s*(```|~~~)")


def chunks_of(document: Document, *, tenant: str, model_id: str) -> list[Chunk]:
    """Chunks of a document with ids that depend on its place and hashes that depend on its content."""
    return [_chunk(document, index, text, tenant, model_id) for index, text in enumerate(document.pieces)]


def cut(document: Document) -> list[str]:
    """The texts of a document's chunks."""
    if document.language:
        return split_code(document.path, document.text, document.language)
    if document.collection == "posts":
        return [document.text]
    return [piece for section in _merged(sections(document.text)) for piece in split_long(section)]


def sections(text: str) -> list[str]:
    """The text cut before each heading; `#` inside a code block is not one."""
    found: list[list[str]] = [[]]
    fenced = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        if not fenced and _HEADING.match(line) and any(found[-1]):
            found.append([])
        found[-1].append(line)
    return [section for lines in found if (section := "\n".join(lines).strip())]


def split_long(section: str) -> list[str]:
    """A section in pieces of at most MAX_CHARS where paragraphs allow; the heading is repeated on each piece."""
    if len(section) <= MAX_CHARS:
        return [section]
    first, _, rest = section.partition("\n")
    heading, body = (first, rest) if _HEADING.match(first) else ("", section)
    pieces: list[str] = []
    current = ""
    for block in _blocks(body):
        joined = f"{current}\n\n{block}" if current else block
        if current and len(joined) + len(heading) > MAX_CHARS:
            pieces.append(current)
            current = block
        else:
            current = joined
    pieces.append(current)
    return [f"{heading}\n\n{piece}".strip() for piece in pieces if piece]


def _merged(parts: list[str]) -> list[str]:
    merged: list[str] = []
    for part in parts:
        if merged and min(len(part), len(merged[-1])) < MIN_CHARS and len(part) + len(merged[-1]) < MAX_CHARS:
            merged[-1] = f"{merged[-1]}\n\n{part}"
        else:
            merged.append(part)
    return merged


def _blocks(text: str) -> list[str]:
    """Paragraphs and whole code blocks; a paragraph that is too long alone is cut at the ends of sentences."""
    blocks: list[str] = []
    current: list[str] = []
    fenced = False

    def close() -> None:
        block = "\n".join(current).strip("\n")
        if block.strip():
            blocks.extend([block] if _FENCE.match(block) or len(block) <= MAX_CHARS else _sentences(block))
        current.clear()

    for line in text.split("\n"):
        if _FENCE.match(line):
            if not fenced:
                close()
            current.append(line)
            if fenced:
                close()
            fenced = not fenced
        elif not line.strip() and not fenced:
            close()
        else:
            current.append(line)
    close()
    return blocks


def _sentences(paragraph: str) -> list[str]:
    pieces = [""]
    for sentence in re.split(r"(?<=[.!?])\s+", paragraph):
        if pieces[-1] and len(pieces[-1]) + len(sentence) > MAX_CHARS:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]} {sentence}".strip()
    return pieces


def _chunk(document: Document, index: int, text: str, tenant: str, model_id: str) -> Chunk:
    fields = (document.title, document.author, document.url, document.date, document.language)
    content = "\x1f".join([str(VERSION), model_id, *fields, text])
    return Chunk(
        id=str(uuid.uuid5(_NAMESPACE, f"{quote(tenant, safe='')}/{document.id}#{index}")),
        document_id=document.id,
        chunk_index=index,
        title=document.title,
        author=document.author,
        text=text,
        url=document.url,
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        date=document.date,
        language=document.language,
    )
