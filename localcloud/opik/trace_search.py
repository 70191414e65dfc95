"""Traces by what a person asks for, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from localcloud.opik.database import Database

STATES = {"done": "f.failed=0 AND f.ms IS NOT NULL", "failed": "f.failed=1", "running": "f.failed=0 AND f.ms IS NULL"}
ORDERS = {
    "newest": "f.id DESC",
    "slowest": "f.ms DESC, f.id DESC",
    "lowest": "s.value, f.id DESC",
    "highest": "s.value DESC, f.id DESC",
}
BY_SCORE = ("lowest", "highest")
# A score's parent is "trace:<id>". SQLite counts nothing about a table that grows, and without that takes every trace
# with every score: it is told where to begin.
BY_TRACE = """trace_facts f
  CROSS JOIN scores s INDEXED BY scores_of_owner ON s.name=? AND s.parent='trace:' || f.id"""
BY_VALUE = """scores s INDEXED BY scores_by_value
  CROSS JOIN trace_facts f ON s.name=? AND s.parent LIKE 'trace:%' AND f.id=substr(s.parent, 7)"""


@dataclass(frozen=True)
class TraceQuery:
    """What traces are wanted; an empty field wants anything.

    Attributes:
        text: in the id, the input, the output or the error; case does not matter.
        state: one of `STATES`.
        name: of the trace.
        project: its id.
        tag: one of the trace's tags.
        day: of its start, YYYY-MM-DD in UTC.
        slower_ms: least duration in milliseconds.
        score: name of a feedback score that the trace has.
        at_least, at_most: bounds of that score.
        order: one of `ORDERS`; by score only with a `score`, else by time.
    """

    text: str = ""
    state: str = ""
    name: str = ""
    project: str = ""
    tag: str = ""
    day: str = ""
    slower_ms: float | None = None
    score: str = ""
    at_least: float | None = None
    at_most: float | None = None
    order: str = "newest"


def search(database: Database, query: TraceQuery, offset: int, limit: int) -> tuple[list[str], int]:
    """Ids of one page in order, and how many traces there are in all."""
    where, values = _where(query)
    order = query.order if query.score or query.order not in BY_SCORE else "newest"
    source = "trace_facts f"
    if query.score:
        source = BY_VALUE if order in BY_SCORE else BY_TRACE
        values = [query.score, *values]
    total = database.rows(f"SELECT COUNT(*) FROM {source} WHERE {where}", values)[0][0]  # noqa: S608
    page = f"SELECT f.id FROM {source} WHERE {where} ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?"  # noqa: S608
    return [row[0] for row in database.rows(page, (*values, limit, offset))], int(total)


def _where(query: TraceQuery) -> tuple[str, list[Any]]:
    conditions: dict[str, Any] = {
        "instr(f.text, ?)": query.text.strip().casefold(),
        "f.name=?": query.name,
        "f.project=?": query.project,
        "instr(f.tags, char(10) || ? || char(10))": query.tag,
        "substr(f.started, 1, 10)=?": query.day,
        "f.ms>=?": query.slower_ms,
    }
    if query.score:
        conditions |= {"s.value>=?": query.at_least, "s.value<=?": query.at_most}
    used = {condition: value for condition, value in conditions.items() if value not in ("", None)}
    parts = [*used, *([STATES[query.state]] if query.state in STATES else ())]
    return " AND ".join(parts) or "1", list(used.values())


def names(database: Database) -> list[str]:
    """Names of traces, in order."""
    return _each(database, "trace_facts", "name")


def score_names(database: Database) -> list[str]:
    """Names of feedback scores, in order."""
    return _each(database, "scores", "name")


def _each(database: Database, table: str, column: str) -> list[str]:
    """Distinct values from one step down the index each, however many rows share them."""
    statement = f"""
      WITH RECURSIVE found(one) AS (
        SELECT MIN({column}) FROM {table}
        UNION ALL SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > one) FROM found WHERE one IS NOT NULL
      ) SELECT one FROM found WHERE one IS NOT NULL"""  # noqa: S608 - names from this module
    return [str(row[0]) for row in database.rows(statement)]
