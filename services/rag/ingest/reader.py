"""Reads a tree of Markdown documents: `PATH/<type>/<author>/**/*.md`, with optional front matter."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from services.rag.stores.documents import COLLECTIONS

MAX_FILE_BYTES = 5 * 1024 * 1024
_BLANK_LINES = re.compile(r"\n{3,}")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z_]+):\s*(.*)$")
_HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)


class IngestError(Exception):
    """Nothing can be ingested; the message says why."""


@dataclass(frozen=True)
class Document:
    """A document as read.

    Attributes:
        id: path below the root, stable over contents.
        collection: one of COLLECTIONS.
    """

    id: str
    collection: str
    title: str
    author: str
    url: str
    date: str
    text: str


@dataclass(frozen=True)
class Skipped:
    """A file that was not ingested, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """What a tree holds.

    Attributes:
        collections: the types whose folders exist; others were not looked at.
    """

    documents: list[Document]
    skipped: list[Skipped]
    collections: list[str]


def read_corpus(root: Path) -> Corpus:
    """Read every document below `root`.

    Raises:
        IngestError: there is no such folder, or none of the type folders in it.
    """
    if not root.is_dir():
        raise IngestError(f"{root} is not a folder.")
    collections = [name for name in COLLECTIONS if (root / name).is_dir()]
    if not collections:
        raise IngestError(f"{root} has none of the folders {', '.join(COLLECTIONS)}.")
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for collection in collections:
        for path in sorted((root / collection).rglob("*")):
            # A link may lead out of the tree, to what nobody meant to publish.
            if not path.is_file() or path.is_symlink() or path.name.startswith("."):
                continue
            read = _read(root, collection, path)
            if isinstance(read, Skipped):
                skipped.append(read)
            else:
                documents.append(read)
    return Corpus(documents, skipped, collections)


def _read(root: Path, collection: str, path: Path) -> Document | Skipped:
    relative = path.relative_to(root)
    name = relative.as_posix()
    if path.suffix.lower() != ".md":
        return Skipped(name, "not a Markdown file")
    if len(relative.parts) < 3:
        return Skipped(name, "not in a folder of an author")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Skipped(name, f"larger than {MAX_FILE_BYTES} bytes")
        raw = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return Skipped(name, "not UTF-8 text")
    except OSError as error:
        return Skipped(name, f"cannot be read: {error.strerror}")
    fields, body = split_front_matter(raw)
    text = clean(body)
    if not text:
        return Skipped(name, "empty")
    heading = _HEADING.search(text)
    title = fields.get("title") or (heading.group(1) if heading else path.stem.replace("-", " "))
    author = fields.get("author") or relative.parts[1]
    return Document(name, collection, title, author, fields.get("url", ""), fields.get("date", ""), text)


def split_front_matter(raw: str) -> tuple[dict[str, str], str]:
    """Fields of a leading `---` block (`key: value` lines, quotes optional), and the rest of the text."""
    lines = raw.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, raw
    for end, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            fields = {}
            for entry in lines[1:end]:
                if match := _FIELD.match(entry.strip()):
                    fields[match.group(1).lower()] = match.group(2).strip().strip("\"'")
            return fields, "\n".join(lines[end + 1 :])
    return {}, raw  # never closed: it is a rule, not front matter


def clean(text: str) -> str:
    """Text in one normal form: NFC, Unix line ends, no comments, control characters or runs of blank lines."""
    text = unicodedata.normalize("NFC", text.lstrip("\ufeff")).replace("\r\n", "\n").replace("\r", "\n")
    text = _COMMENT.sub("", text)
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip()
