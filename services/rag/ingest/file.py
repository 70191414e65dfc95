"""Reads the documents of one file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from services.rag.ingest.clean import clean, clean_code, iso_date, split_front_matter
from services.rag.ingest.documents import Document, Skipped, Unreadable
from services.rag.ingest.finish import finished
from services.rag.ingest.formats import (
    MAX_BYTES,
    Kind,
    format_of,
    generated_content,
    generated_name,
    no_reader_reason,
    too_large_reason,
)
from services.rag.ingest.html_page import PageError, read_page
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.jsonl import read_lines

_SNIFFED = 8192
_TITLE_CHARS = 100
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class SourceFile:
    """A file, with what is known from its place in the source.

    Attributes:
        path: where it is.
        id: of the document in it.
        name: its path inside the source.
        author: unless the file itself names one.
        repository: name of the repository that it belongs to; empty outside of one.
    """

    path: Path
    id: str
    name: str
    collection: str
    author: str
    url: str = ""
    date: str = ""
    repository: str = ""


def read_file(file: SourceFile, isolated: Isolated) -> Iterator[Document | Skipped]:
    """The documents of a file (more than one only for JSON Lines), or why there is none."""
    known = format_of(file.name)
    if generated_name(file.path.name):
        yield Skipped(file.id, "generated")
        return
    try:
        if known is None or (known[0] is Kind.JSONL and file.repository):
            yield Skipped(file.id, "binary" if _binary(file.path) else no_reader_reason(file.name))
        elif file.path.stat().st_size > (limit := MAX_BYTES[known[0]]):
            yield Skipped(file.id, too_large_reason(limit), unreadable=True)
        elif known[0] is Kind.JSONL:
            yield from read_lines(file.path, file.id, isolated, collection=file.collection, author=file.author)
        else:
            yield isolated.run(parse_file, file, *known)
    except OSError as error:
        yield Skipped(file.id, f"cannot be read: {error.strerror}", unreadable=True)
    except Unreadable as problem:
        yield Skipped(file.id, str(problem), unreadable=True)


def parse_file(file: SourceFile, kind: Kind, language: str) -> Document | Skipped:
    """The document of a file of a known kind, or why there is none; to be called where it may take for ever.

    Raises:
        Unreadable: it cannot be read now.
    """
    try:
        found = _read(file, kind, language)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    return found if isinstance(found, Skipped) else finished(found)


def _binary(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_SNIFFED)
    try:
        # A character may be cut at the end of what was read.
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return True
    return b"\0" in head


def _read(file: SourceFile, kind: Kind, language: str) -> Document | Skipped:
    data = file.path.read_bytes()
    if b"\0" in data[:_SNIFFED] and not data.startswith(_UTF16):
        return Skipped(file.id, "binary")
    try:
        raw = data.decode("utf-8")
    except UnicodeDecodeError:
        return Skipped(file.id, "not UTF-8 text", unreadable=True)
    if kind is Kind.CODE:
        return _code(file, raw, language)
    return _page(file, raw) if kind is Kind.HTML else _prose(file, raw, kind)


def _code(file: SourceFile, raw: str, language: str) -> Document | Skipped:
    text = clean_code(raw)
    if not text.strip():
        return Skipped(file.id, "empty")
    if generated_content(text):
        return Skipped(file.id, "generated")
    title = "/".join(filter(None, (PurePosixPath(file.repository).name, file.name)))
    return Document(
        file.id,
        file.collection,
        text,
        path=file.name,
        title=title,
        author=file.author,
        url=file.url,
        date=file.date,
        language=language,
    )


def _page(file: SourceFile, raw: str) -> Document | Skipped:
    try:
        page = read_page(raw)
    except PageError as problem:
        return Skipped(file.id, f"not readable HTML: {problem}", unreadable=True)
    if not page.text:
        return Skipped(file.id, "empty")
    title = page.title or _title(page.text, file)
    author, url, date = page.author or file.author, page.url or file.url, page.date or file.date
    return Document(file.id, file.collection, page.text, title=title, author=author, url=url, date=date)


def _prose(file: SourceFile, raw: str, kind: Kind) -> Document | Skipped:
    fields, body = split_front_matter(raw) if kind is Kind.MARKDOWN else ({}, raw)
    text = clean(body)
    if not text:
        return Skipped(file.id, "empty")
    title = fields.get("title") or _title(text, file)
    author, url = fields.get("author") or file.author, fields.get("url") or file.url
    date = iso_date(fields.get("date", "")) or file.date
    return Document(file.id, file.collection, text, title=title, author=author, url=url, date=date)


def _title(text: str, file: SourceFile) -> str:
    """The first heading of the first level, else the file's name."""
    for line in text.split("\n"):
        if line.startswith("# "):
            return line[2:].rstrip("# ").strip()[:_TITLE_CHARS]
    stem = PurePosixPath(file.name).stem.replace("-", " ")
    return f"{PurePosixPath(file.repository).name}: {stem}" if file.repository else stem
