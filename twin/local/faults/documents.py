"""Documents that are ingested while the store fails, and deleted after the drill."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.vectors.export import Store, StoreError
from twin.ask.ingest import ingest
from twin.target.errors import TwinError
from twin.target.stage import Stage
from twin.target.vector_store import WRITE_KEY
from twin.vectors.backup import store_of

AUTHOR = "Fault Drill"
COLLECTION = "posts"
DOCUMENTS = 120
"""Enough that their writing takes longer than a fault needs to come; each is one chunk."""
PARAGRAPH = "Note {number} of the drill: what was written while the store failed is found again afterwards. "
REPEATS = 12
_OURS = {"must": [{"key": "author", "match": {"value": AUTHOR}}]}


@dataclass
class Ingest:
    """An ingest that runs beside a fault.

    Attributes:
        refused: why it failed, empty when it did not.
    """

    stage: Stage
    folder: Path
    refused: str = ""
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ingest")
        self._thread.start()

    def lost(self) -> int:
        """Wait for its end; how many documents are not in the store although an ingest said that it is done.

        One that failed and said so is repeated, as its message asks for.
        """
        self.wait()
        if self.refused:
            ingest(self.stage, self.folder)
        return DOCUMENTS - len(_stored(store_of("local", self.stage, None)))

    def wait(self) -> None:
        """Block until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            ingest(self.stage, self.folder)
        except TwinError as error:
            self.refused = str(error)


@contextmanager
def ingesting(stage: Stage) -> Iterator[Ingest]:
    """Ingest for the length of the block; the documents are deleted at its end.

    Raises:
        TwinError: the store refuses to delete them.
    """
    with tempfile.TemporaryDirectory(prefix="twin-drill-") as folder:
        found = Ingest(stage, _written(Path(folder)))
        try:
            yield found
        finally:
            found.wait()
            delete(stage)


def delete(stage: Stage) -> None:
    """Delete the documents of this and earlier drills.

    Raises:
        TwinError: the store refuses.
    """
    try:
        store = store_of("local", stage, None, key_output=WRITE_KEY)
        store.call("POST", f"/collections/{COLLECTION}/points/delete?wait=true", {"filter": _OURS})
    except StoreError as error:
        raise TwinError(f"The drill's documents (author {AUTHOR!r}) are still in the store: {error}") from None


def _written(root: Path) -> Path:
    folder = root / COLLECTION / "fault-drill"
    folder.mkdir(parents=True)
    for number in range(DOCUMENTS):
        text = (
            f"---\ntitle: Drill note {number}\nauthor: {AUTHOR}\n---\n\n{PARAGRAPH.format(number=number) * REPEATS}\n"
        )
        (folder / f"note-{number}.md").write_text(text)
    return root


def _stored(store: Store) -> set[str]:
    """Ids of the drill's documents in the store."""
    found: set[str] = set()
    offset = None
    while True:
        body = {
            "filter": _OURS,
            "limit": 256,
            "with_payload": ["document_id"],
            **({"offset": offset} if offset else {}),
        }
        page = store.call("POST", f"/collections/{COLLECTION}/points/scroll", body)
        found |= {point["payload"]["document_id"] for point in page["points"]}
        offset = page["next_page_offset"]
        if offset is None:
            return found
