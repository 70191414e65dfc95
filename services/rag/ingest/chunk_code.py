"""Cuts source code along its structure; the heading of a piece names its place and its definitions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

# Code has about three characters to a token where prose has four; the model reads 256 tokens.
MAX_CHARS = 800
# Smaller neighbours, such as a constant or a one-line function, share a chunk.
MIN_CHARS = 200
_HEADING_CHARS = 160
_OPENING = "{[("
_CLOSING = "}])"
_COMMENT = re.compile(r"^\s*(#|//|/\*|\*|--|;|<!--|\"\"\"|''')")


@dataclass(frozen=True)
class _Piece:
    """Neighbouring lines, the names (signatures) of what they hold, and of the class that they stand in."""

    lines: list[str]
    names: tuple[str, ...] = ()
    owner: str = ""

    @property
    def size(self) -> int:
        return sum(len(line) + 1 for line in self.lines)

    @property
    def blank(self) -> bool:
        return not any(line.strip() for line in self.lines)


def split_code(path: str, text: str, language: str) -> list[str]:
    """Pieces of code as Markdown: a heading with the place and what is defined there, and the code in a fence.

    Python is cut at top-level definitions, long classes at their methods; other languages at blank lines outside of
    braces and indentation. No line is ever cut; a piece is longer than MAX_CHARS only when a single line is.

    Args:
        path: inside the repository; Python's headings name the module instead.
        text: the code.
        language: as in a fence.
    """
    lines = text.split("\n")
    pieces = _python(text, lines) if language == "python" else None
    place = _module(path) if pieces is not None else path
    if pieces is None:
        pieces = list(_blocks(lines))
    fitting = [part for piece in _merged(pieces) for part in _split_to_size(piece)]
    return [_render(place, piece, language) for piece in fitting if not piece.blank]


def _module(path: str) -> str:
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[1:] if parts[0] == "src" and len(parts) > 1 else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _python(text: str, lines: list[str]) -> list[_Piece] | None:
    """Top-level definitions and the code between them; None when it is not the Python of this interpreter."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return list(_definitions(tree.body, lines, 0, len(lines), ""))


def _definitions(body: list[ast.stmt], lines: list[str], start: int, end: int, owner: str) -> Iterator[_Piece]:
    """Pieces of lines[start:end], the body of a module or of the class `owner`."""
    at = start
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        first = _first_line(node, lines, at)
        last = node.end_lineno or node.lineno
        if first < at:
            continue  # on a line with the one before (`class A: pass; class B: pass`)
        if first > at:
            yield _Piece(lines[at:first], owner=owner)
        name = _signature(node)
        whole = _Piece(lines[first:last], (name,), owner)
        if isinstance(node, ast.ClassDef) and whole.size > MAX_CHARS:
            yield from _definitions(node.body, lines, first, last, f"{owner}: {name}" if owner else name)
        else:
            yield whole
        at = last
    if at < end:
        yield _Piece(lines[at:end], owner=owner)


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, lines: list[str], at: int) -> int:
    """Index of a definition's first line: its decorators and the comment right above belong to it."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    while first > at and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){returns}"


def _blocks(lines: list[str]) -> Iterator[_Piece]:
    """Pieces that begin after a blank line, unindented and outside of all braces."""
    # Braces in strings are counted as well; where the count is not even, braces are ignored.
    counted = _depth("\n".join(lines)) == 0
    start = depth = 0
    for at, line in enumerate(lines):
        begins = bool(line.strip()) and not line[0].isspace() and line[0] not in _CLOSING
        if begins and at > start and not lines[at - 1].strip() and depth <= 0:
            yield _named(lines[start:at])
            start = at
        if counted:
            depth += _depth(line)
    yield _named(lines[start:])


def _depth(text: str) -> int:
    return sum(text.count(mark) for mark in _OPENING) - sum(text.count(mark) for mark in _CLOSING)


def _named(lines: list[str]) -> _Piece:
    """A block is named by its first line that is not a comment."""
    names = (line.strip().rstrip("{([:= ") for line in lines if line.strip() and not _COMMENT.match(line))
    name = next(names, "")
    return _Piece(lines, (name,) if name else ())


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Small neighbours joined as long as they fit together."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.owner == piece.owner
            and min(last.size, piece.size) < MIN_CHARS
            and last.size + piece.size <= MAX_CHARS
        ):
            merged[-1] = _Piece([*last.lines, *piece.lines], (*last.names, *piece.names), piece.owner)
        else:
            merged.append(piece)
    return merged


def _split_to_size(piece: _Piece) -> Iterator[_Piece]:
    """A piece in parts of at most MAX_CHARS, cut at its last blank line where one is late enough, else at a line."""
    lines = piece.lines
    while lines:
        size = count = 0
        for line in lines:
            size += len(line) + 1
            if size > MAX_CHARS and count:
                break
            count += 1
        if count < len(lines):
            blank = next((at for at in range(count, count // 2, -1) if not lines[at - 1].strip()), 0)
            count = blank or count
        yield _Piece(lines[:count], piece.names, piece.owner)
        lines = lines[count:]


def _render(place: str, piece: _Piece, language: str) -> str:
    code = "\n".join(piece.lines).strip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    names = ": ".join(filter(None, (piece.owner, "; ".join(dict.fromkeys(piece.names)))))
    if len(names) > _HEADING_CHARS:
        names = f"{names[: _HEADING_CHARS - 3].rstrip()}..."
    heading = f"## {place}: {names}" if names else f"## {place}"
    return f"{heading}\n\n{fence}{language}\n{code}\n{fence}"
