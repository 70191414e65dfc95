"""JSON Lines: a document per line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.rag.ingest.clean import clean, iso_date
from services.rag.ingest.documents import Document, Skipped, Unreadable
from services.rag.ingest.finish import finished
from services.rag.ingest.formats import MAX_BYTES, Kind
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.limits import MAX_AUTHOR_CHARS, MAX_TITLE_CHARS, MAX_URL_CHARS
from services.rag.stores.documents import COLLECTIONS

MAX_LINE_BYTES = MAX_BYTES[Kind.MARKDOWN]
EMPTY = "empty"


class _Line(BaseModel):
    """Fields of a line; others are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    text: str
    id: Annotated[str, Field(max_length=500)] | int | None = None
    type: str | None = None
    author: str | None = Field(None, max_length=MAX_AUTHOR_CHARS)
    title: str | None = Field(None, max_length=MAX_TITLE_CHARS)
    url: str | None = Field(None, max_length=MAX_URL_CHARS)
    date: str | None = None


def read_lines(
    path: Path, source: str, isolated: Isolated, *, collection: str = "", author: str = ""
) -> Iterator[Document | Skipped]:
    """The documents of a file `{id?, type?, author?, title?, url?, date?, text}`, and the lines that are none.

    A line is identified within its file by its id, else by its URL, else by a hash of its text.

    Args:
        path: the file.
        source: what the documents' ids begin with.
        isolated: where a line is read.
        collection: the type of every line; empty leaves it to the lines.
        author: of lines that name none; empty means that they have to.
    """
    seen: dict[str, int] = {}
    with path.open("rb") as lines:
        number = 0
        while raw := lines.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                yield Skipped(f"{source}:{number}", f"line longer than {MAX_LINE_BYTES} bytes", True, source)
                while raw and not raw.endswith(b"\n"):
                    raw = lines.readline(MAX_LINE_BYTES)
                continue
            if not raw.strip():
                continue
            try:
                read = isolated.run(parse_line, raw, source, collection, author)
            except Unreadable as problem:
                read = str(problem)
            if isinstance(read, str):
                yield Skipped(f"{source}:{number}", read, unreadable=read != EMPTY, line_of=source)
            elif read.id in seen:
                yield Skipped(f"{source}:{number}", f"same id as line {seen[read.id]}")
            else:
                seen[read.id] = number
                yield read


def parse_line(raw: bytes, source: str, collection: str, author: str) -> Document | str:
    """The document of a line, or why it is none.

    Raises:
        Unreadable: it is beyond a limit.
    """
    try:
        line = _Line.model_validate_json(raw.removeprefix(b"\xef\xbb\xbf").strip())
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    kind = line.type or collection
    if kind not in COLLECTIONS:
        return f"type: must be one of {', '.join(COLLECTIONS)}" if kind else "names no type"
    if collection and kind != collection:
        return f"is of type {kind}, its file of type {collection}"
    who = (line.author or "").strip() or author
    if not who:
        return "names no author"
    text = clean(line.text)
    if not text:
        return EMPTY
    named = line.url if line.id in (None, "") else str(line.id)
    name = named or hashlib.sha256(text.encode()).hexdigest()[:16]
    title = " ".join((line.title or text.lstrip("# ").split("\n", 1)[0][:100]).split())
    url, date = line.url or "", iso_date(line.date or "")
    return finished(Document(f"{source}#{name}", kind, text, title=title, author=who, url=url, date=date))
