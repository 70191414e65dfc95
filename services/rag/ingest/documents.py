"""Documents as a source gives them, before they are cut into chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.rag.stores.documents import Described


class IngestError(Exception):
    """Nothing can be ingested; the message says why."""


class Unreadable(Exception):
    """A document cannot be read, though it may exist; the message is the reason for the report."""


@dataclass(frozen=True)
class Document(Described):
    """A document as read.

    Attributes:
        id: stable over contents: the path below the source, with the source's name before it unless it is a tree.
        collection: one of COLLECTIONS.
        text: Markdown, or source code when `language` is set.
        path: of code, inside its repository.
        pieces: the text as it is cut into chunks.
    """

    id: str
    collection: str
    text: str
    path: str = ""
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A file or line that was not ingested, with the reason.

    Attributes:
        unreadable: the document may still exist, so what the store holds of it stays. Everything else that is skipped
            was left out on purpose, and is removed from the store.
        line_of: id of the file that a line is in; empty for a file. Which document of its file an unreadable line was
            is unknown, so all of them stay.
    """

    id: str
    reason: str
    unreadable: bool = False
    line_of: str = ""


@dataclass(frozen=True)
class Corpus:
    """The documents of a source.

    Attributes:
        scope: collection -> what the ids of this source's documents begin with. Nothing else is looked at or removed.
        prefix: the beginning of this source's ids; empty for a tree.
    """

    documents: list[Document]
    skipped: list[Skipped] = field(default_factory=list)
    scope: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prefix: str = ""

    def owns(self, collection: str, document_id: str) -> bool:
        """Whether a document of the store came from this source."""
        return any(
            document_id == prefix or document_id.startswith((f"{prefix}/", f"{prefix}#"))
            for prefix in self.scope[collection]
        )

    def unreadable_of(self, document_ids: Iterable[str]) -> set[str]:
        """Those of `document_ids` that may still be in this source, in a file or line that cannot be read now."""
        files = {skipped.line_of or skipped.id for skipped in self.skipped if skipped.unreadable}
        lines = tuple(f"{file}#" for file in files)
        return {found for found in document_ids if found in files or found.startswith(lines)}
