"""Search of traces, one page at a time."""

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
# A score's parent is "trace:<id>". SQLite has no statistics of a growing table and would join every trace with every
# score, so CROSS JOIN and INDEXED BY fix the order.
BY_TRACE = """trace_facts f
  CROSS JOIN scores s INDEXED BY scores_of_owner ON s.name=? AND s.parent='trace:' || f.id"""
BY_VALUE = """scores s INDEXED BY scores_by_value
  CROSS JOIN trace_facts f ON s.name=? AND s.parent LIKE 'trace:%' AND f.id=substr(s.parent, 7)"""


@dataclass(frozen=True)
class TraceQuery:
    """Conditions for traces; an empty field is no condition.

    Attributes:
        text: part of the id, the input, the output or the error; case does not matter.
        state: one of `STATES`.
        name: name of the trace.
        project: id of its project.
        tag: one of its tags.
        day: day of its start, YYYY-MM-DD in UTC.
        slower_ms: minimum duration in milliseconds.
        score: name of a feedback score that the trace has.
        at_least, at_most: bounds of that score.
        order: one of `ORDERS`; `BY_SCORE` orders need a `score` and otherwise count as `newest`.
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
    """Ids of `limit` matching traces after the first `offset`, in order, and the number of all matching traces."""
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
    """All names of traces, sorted."""
    return _distinct(database, "trace_facts", "name")


def score_names(database: Database) -> list[str]:
    """All names of feedback scores, sorted."""
    return _distinct(database, "scores", "name")


def _distinct(database: Database, table: str, column: str) -> list[str]:
    """Distinct values of an indexed column, with one index lookup per value instead of one per row."""
    statement = f"""
      WITH RECURSIVE found(one) AS (
        SELECT MIN({column}) FROM {table}
        UNION ALL SELECT (SELECT MIN({column}) FROM {table} WHERE {column} > one) FROM found WHERE one IS NOT NULL
      ) SELECT one FROM found WHERE one IS NOT NULL"""  # noqa: S608 - names from this module
    return [str(row[0]) for row in database.rows(statement)]
