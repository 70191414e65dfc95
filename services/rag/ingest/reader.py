"""Reads a folder, a file or a repository on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from services.rag.ingest.documents import Corpus, Document, IngestError, Skipped
from services.rag.ingest.file import SourceFile, read_file
from services.rag.ingest.formats import Kind, format_of, vendored
from services.rag.ingest.git import Repository
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.walk import VENDORED, file_below, walk
from services.rag.stores.documents import COLLECTIONS

REPOSITORIES = "repositories"
LINKED = "a link"


@dataclass(frozen=True)
class Given:
    """Type and author for documents that do not name them.

    Attributes:
        type: one of COLLECTIONS, for what is not laid out as a tree.
        author: for documents that name none.
    """

    type: str = ""
    author: str = ""


def read_path(path: Path, given: Given, isolated: Isolated) -> Corpus:
    """Read a tree `<type>/<author>/...`, any folder with a type and author given, or one file.

    Raises:
        IngestError: there is nothing, it is not laid out as a tree and no type and author are given, or the opposite.
    """
    if path.is_file():
        return _read_single(path, given, isolated)
    if not path.is_dir():
        raise IngestError(f"{path} is not a folder.")
    laid_out = [name for name in COLLECTIONS if (path / name).is_dir()]
    if given.type and given.author:
        return _read_folder(path, given, isolated)
    if not laid_out:
        raise IngestError(
            f"{path} has none of the folders {', '.join(COLLECTIONS)}: lay it out as <type>/<author>/, or say what it "
            "holds with --type and --author."
        )
    if given.type or given.author:
        raise IngestError(
            f"{path} is laid out as <type>/<author>/, which names types and authors: leave out --type and --author, or "
            "give both."
        )
    return _read_tree(path, laid_out, isolated)


def read_repository(repository: Repository, given: Given, isolated: Isolated) -> Corpus:
    """Read the tracked files of a repository.

    Raises:
        IngestError: another type than repositories was given, or the author is unknown.
    """
    if given.type not in ("", REPOSITORIES):
        raise IngestError(f"A Git repository is of type {REPOSITORIES}, not {given.type}.")
    author = given.author or repository.author
    if not author:
        raise IngestError(f"{repository.name} names no author: give --author.")
    prefix = f"git:{repository.name}"
    names = walk(repository.root, isolated) if repository.files is None else _tracked(repository)
    return _corpus(
        [REPOSITORIES],
        prefix,
        (
            Skipped(f"{prefix}/{name.id}", name.reason)
            if isinstance(name, Skipped)
            else SourceFile(
                path=repository.root / name,
                id=f"{prefix}/{name}",
                name=name,
                collection=REPOSITORIES,
                author=author,
                url=repository.url(name),
                date=repository.dates.get(name, ""),
                repository=repository.name,
            )
            for name in names
        ),
        isolated,
    )


def _read_tree(root: Path, collections: list[str], isolated: Isolated) -> Corpus:
    linked = [name for name in collections if (root / name).is_symlink()]
    own = [name for name in collections if name not in linked]

    def files() -> Iterator[SourceFile | Skipped]:
        for collection in linked:
            yield Skipped(f"{collection}/", LINKED)
        for collection in own:
            for name in walk(root, isolated, collection):
                if isinstance(name, Skipped):
                    yield name
                elif len(parts := PurePosixPath(name).parts) < 3:
                    yield Skipped(name, "not in a folder of an author", unreadable=True)
                else:
                    yield SourceFile(root / name, name, name, collection, parts[1])

    # By author: an ingest of one author's folder must not remove documents of other authors, nor of one whose folder is
    # a link, which is not followed.
    scope = {
        name: tuple(
            sorted(
                f"{name}/{found.name}" for found in (root / name).iterdir() if found.is_dir() and not found.is_symlink()
            )
        )
        for name in own
    }
    return _fill(Corpus([], [], scope), files(), isolated)


def _read_folder(root: Path, given: Given, isolated: Isolated) -> Corpus:
    prefix = f"folder:{given.type}/{given.author}/{root.resolve().name}"
    return _corpus(
        [given.type],
        prefix,
        (
            Skipped(f"{prefix}/{name.id}", name.reason)
            if isinstance(name, Skipped)
            else SourceFile(root / name, f"{prefix}/{name}", name, given.type, given.author)
            for name in walk(root, isolated)
        ),
        isolated,
    )


def _read_single(path: Path, given: Given, isolated: Isolated) -> Corpus:
    known = format_of(path.name)
    if known and known[0] is Kind.JSONL:
        source = f"jsonl:{path.stem}"
        collections = [given.type] if given.type else COLLECTIONS
        return _corpus(collections, source, [SourceFile(path, source, path.name, given.type, given.author)], isolated)
    if not (given.type and given.author):
        raise IngestError(f"{path} does not say what it holds: give --type and --author.")
    source = f"file:{given.type}/{given.author}/{path.name}"
    return _corpus([given.type], source, [SourceFile(path, source, path.name, given.type, given.author)], isolated)


def _tracked(repository: Repository) -> Iterator[str | Skipped]:
    """Tracked files that are files here (not links, submodules, or removed), vendored folders named once."""
    left_out: set[str] = set()
    for name in repository.files or ():
        parts = PurePosixPath(name).parts
        if depth := vendored(parts[:-1]):
            folder = "/".join(parts[:depth]) + "/"
            if folder not in left_out:
                left_out.add(folder)
                yield Skipped(folder, VENDORED)
        elif file_below(repository.root, name) is not None:
            yield name


def _corpus(
    collections: Iterable[str], prefix: str, files: Iterable[SourceFile | Skipped], isolated: Isolated
) -> Corpus:
    """Read the files of one source."""
    return _fill(Corpus([], [], dict.fromkeys(collections, (prefix,)), prefix), files, isolated)


def _fill(corpus: Corpus, files: Iterable[SourceFile | Skipped], isolated: Isolated) -> Corpus:
    """Read the files into a corpus; of documents with the same content only the first is kept."""
    first: dict[tuple[str, str, str], str] = {}
    for file in files:
        for read in [file] if isinstance(file, Skipped) else read_file(file, isolated):
            if isinstance(read, Skipped):
                corpus.skipped.append(read)
                continue
            same = first.setdefault(_content(read), read.id)
            if same == read.id:
                corpus.documents.append(read)
            else:
                corpus.skipped.append(Skipped(read.id, f"duplicate of {same}"))
    return corpus


def _content(document: Document) -> tuple[str, str, str]:
    return document.collection, document.author, hashlib.sha256(document.text.encode()).hexdigest()
