"""SQLite storage: one table per kind of entity, each row a JSON document with the columns that it is looked up by."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uuid6 import uuid7

Document = dict[str, Any]
"""A JSON object."""
TABLES = (
    "projects",
    "traces",
    "spans",
    "scores",
    "datasets",
    "items",
    "dataset_versions",
    "experiments",
    "experiment_items",
    "prompts",
    "prompt_versions",
)
COLUMNS = {
    "scores": {"name": "$.name", "value": "$.value"},
    "experiment_items": {"item": "$.dataset_item_id", "trace": "$.trace_id"},
}
"""Fields that statements read, as computed columns; NULL where SQLite does not accept the document as JSON (NaN)."""
INDEXES = {
    "scores_of_owner": "scores(parent, name, value)",
    "scores_by_value": "scores(name, value, parent)",
    "experiment_items_traces": "experiment_items(parent, item, trace)",
    "experiment_items_of_trace": "experiment_items(trace, parent)",
}


def now() -> str:
    """The current time as Opik writes it: ISO 8601 in UTC with a `Z`."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def new_id() -> str:
    """A UUID of version 7, which sorts by time, as Opik requires of traces and spans."""
    return str(uuid7())


class Database:
    """One connection behind one lock. Safe for many threads.

    Args:
        path: the file; it and its folder are created when missing.

    Raises:
        sqlite3.Error: the file cannot be opened or is not a database.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        for table in TABLES:
            self._connection.executescript(
                f"CREATE TABLE IF NOT EXISTS {table}(id TEXT PRIMARY KEY, parent TEXT, key TEXT, body TEXT NOT NULL);"
                f"CREATE INDEX IF NOT EXISTS {table}_parent ON {table}(parent, id);"
                f"CREATE INDEX IF NOT EXISTS {table}_key ON {table}(key, id);"
            )
        for table, columns in COLUMNS.items():
            self._add_columns(table, columns)
        for name, columns_of in INDEXES.items():
            self._connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns_of}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Put all writes into one transaction, which an exception rolls back; nested use joins the outer one."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement; empty for one that writes.

        Args:
            statement: SQL with `?` for each value.
            values: values in order.

        Raises:
            sqlite3.Error: the statement failed, e.g. because the disk is full.
        """
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the connection; nothing else may be called afterwards."""
        with self._lock:
            self._connection.close()

    def _add_columns(self, table: str, columns: dict[str, str]) -> None:
        known = {row[1] for row in self._connection.execute(f"PRAGMA table_xinfo({table})")}
        for column, path in columns.items():
            if column not in known:
                value = f"CASE WHEN json_valid(body) THEN json_extract(body, '{path}') END"
                self._connection.execute(
                    f"ALTER TABLE {table} ADD COLUMN {column} GENERATED ALWAYS AS ({value}) VIRTUAL"
                )


class Collection:
    """Documents of one table, each with an id and, where it has them, a parent and a key to look it up by."""

    def __init__(self, database: Database, table: str) -> None:
        if table not in TABLES:
            raise ValueError(f"unknown table {table}")
        self._database = database
        self._table = table

    def get(self, id: str) -> Document | None:
        """The document with this id, or None."""
        return next(iter(self._documents("id=?", (id,))), None)

    def by_key(self, key: str) -> list[Document]:
        """Documents with this key, oldest first."""
        return self._documents("key=? ORDER BY id", (key,))

    def children(
        self, parent: str, *, before: str | None = None, limit: int = -1, newest_first: bool = True
    ) -> list[Document]:
        """Documents under `parent` in order of id; -1 is no limit.

        With `before`, the id of the last document of a page, only the documents that follow it in that order.
        """
        order, sign = ("DESC", "<") if newest_first else ("ASC", ">")
        beyond, values = (f" AND id{sign}?", (parent, before)) if before else ("", (parent,))
        return self._documents(f"parent=?{beyond} ORDER BY id {order} LIMIT {int(limit)}", values)

    def all(self, *, limit: int = -1) -> list[Document]:
        """All documents, newest first; -1 is no limit."""
        return self._documents(f"1 ORDER BY id DESC LIMIT {int(limit)}", ())

    def page(self, offset: int, limit: int) -> list[Document]:
        """`limit` documents after the first `offset`, newest first."""
        return self._documents(f"1 ORDER BY id DESC LIMIT {int(limit)} OFFSET {int(offset)}", ())

    def count(self, parent: str | None = None) -> int:
        """Number of documents, of all or of those under `parent`."""
        where, values = ("WHERE parent=?", (parent,)) if parent else ("", ())
        return int(self._database.rows(f"SELECT COUNT(*) FROM {self._table} {where}", values)[0][0])  # noqa: S608

    def put(self, id: str, body: Document, *, parent: str | None = None, key: str | None = None) -> None:
        """Insert or replace a document; parent and key are kept when they are None."""
        self._database.rows(
            f"INSERT INTO {self._table} VALUES(?,?,?,?) ON CONFLICT(id) DO UPDATE SET "
            "parent=COALESCE(excluded.parent,parent), key=COALESCE(excluded.key,key), body=excluded.body",
            (id, parent, key, json.dumps(body)),
        )

    def merge(self, id: str, patch: Document, *, parent: str | None = None, key: str | None = None) -> Document:
        """Set the fields of `patch` that are not None, in a new document or in the known one; returns the result.

        The start and the end of a trace may thus arrive in either order.
        """
        known = self.get(id) or {"id": id, "created_at": now()}
        merged = {**known, **{name: value for name, value in patch.items() if value is not None}}
        merged["last_updated_at"] = now()
        self.put(id, merged, parent=parent, key=key)
        return merged

    def delete(self, id: str) -> None:
        """Delete a document; an unknown id is ignored."""
        self._database.rows(f"DELETE FROM {self._table} WHERE id=?", (id,))  # noqa: S608 - a name from TABLES

    def delete_children(self, parent: str) -> None:
        """Delete all documents under `parent`."""
        self._database.rows(f"DELETE FROM {self._table} WHERE parent=?", (parent,))  # noqa: S608

    def _documents(self, where: str, values: Sequence[Any]) -> list[Document]:
        rows = self._database.rows(f"SELECT body FROM {self._table} WHERE {where}", values)  # noqa: S608
        return [json.loads(row[0]) for row in rows]
