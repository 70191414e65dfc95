"""Table with one small row per trace, by which traces are listed, searched and counted without reading documents."""

from __future__ import annotations

import json
from typing import Any

from localcloud.opik.database import Database, Document
from localcloud.opik.times import duration_ms, parse_time

VERSION = 1
"""Version of the rows' content: in a file with another one, all rows are written again."""
TEXT_LIMIT = 2_000
"""Characters of the input, of the output and of the error that a search covers."""
TAG_MARK = "\n"

TABLE = """
CREATE TABLE IF NOT EXISTS trace_facts(
  id TEXT PRIMARY KEY, project TEXT, name TEXT, started TEXT, ms REAL, failed INTEGER, model TEXT, tags TEXT, text TEXT
);
CREATE INDEX IF NOT EXISTS trace_facts_row ON trace_facts(id, project, name, started, ms, failed, model, tags);
CREATE INDEX IF NOT EXISTS trace_facts_project ON trace_facts(project, id);
CREATE INDEX IF NOT EXISTS trace_facts_name ON trace_facts(name, id);
CREATE INDEX IF NOT EXISTS trace_facts_failed ON trace_facts(failed, id);
CREATE INDEX IF NOT EXISTS trace_facts_ms ON trace_facts(ms, id);
"""


class TraceFacts:
    """The rows. Code that writes or deletes a trace must also call `put` or `delete` here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction():
            for statement in TABLE.split(";"):
                database.rows(statement)
            if database.rows("PRAGMA user_version") != [(VERSION,)]:
                self._rebuild()
                database.rows(f"PRAGMA user_version={VERSION}")

    def put(self, trace: Document) -> None:
        """Insert or replace the row of a trace, which must be complete."""
        row = _row(trace)
        marks = ",".join("?" * len(row))
        self._database.rows(f"INSERT OR REPLACE INTO trace_facts VALUES({marks})", row)

    def delete(self, id: str) -> None:
        """Delete the row of a trace; an unknown id is ignored."""
        self._database.rows("DELETE FROM trace_facts WHERE id=?", (id,))

    def _rebuild(self) -> None:
        self._database.rows("DELETE FROM trace_facts")
        for (id,) in self._database.rows("SELECT id FROM traces"):
            self.put(json.loads(self._database.rows("SELECT body FROM traces WHERE id=?", (id,))[0][0]))


def model_of(trace: Document) -> str | None:
    """Model id in the metadata of a trace or experiment, or None."""
    metadata = trace.get("metadata")
    found = metadata.get("model_id") or metadata.get("model") if isinstance(metadata, dict) else None
    return str(found) if found else None


def _row(trace: Document) -> tuple[Any, ...]:
    started, tags = parse_time(trace.get("start_time")), trace.get("tags")
    try:
        ms = duration_ms(trace)
    except (ValueError, TypeError):
        ms = None
    texts = (
        trace["id"],
        _text_of(trace.get("input")),
        _text_of(trace.get("output")),
        _text_of(trace.get("error_info")),
    )
    return (
        trace["id"],
        trace.get("project_id"),
        None if trace.get("name") is None else str(trace["name"]),
        started.isoformat() if started else None,
        ms,
        int(bool(trace.get("error_info"))),
        model_of(trace),
        TAG_MARK + "".join(f"{tag}{TAG_MARK}" for tag in tags) if isinstance(tags, list) else None,
        "\n".join(texts).casefold(),
    )


def _text_of(value: Any) -> str:
    """All values in `value` as text, a line each, cut to `TEXT_LIMIT` characters; field names are left out."""
    parts: list[str] = []
    waiting, length = [value], 0
    while waiting and length < TEXT_LIMIT:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list):
            waiting += reversed(one)
        elif one is not None:
            parts.append(str(one))
            length += len(parts[-1]) + 1
    return "\n".join(parts)[:TEXT_LIMIT]
