"""Files of a folder, without what its .gitignore files and vendored folders hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from services.rag.ingest.documents import IngestError, Skipped, Unreadable
from services.rag.ingest.formats import vendored
from services.rag.ingest.isolated import Isolated
from services.rag.ingest.limits import MEBIBYTE

IGNORED = "ignored by .gitignore"
VENDORED = "vendored or generated"
MAX_RULES_BYTES = MEBIBYTE
_IGNORE_FILE = ".gitignore"

Rules = tuple[tuple[str, tuple[str, ...]], ...]
"""Folders below the root, as paths that end with a slash, with the lines of their rules; the outermost first."""


def file_below(root: Path, name: str) -> Path | None:
    """The file called `name` below `root`; None when there is none, or when a link or `..` is on the way to it."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        return None
    path = root.joinpath(*parts)
    try:
        is_there = path.resolve() == root.resolve().joinpath(*parts) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a loop of links, a name that no file can have
        return None
    return path if is_there else None


def walk(root: Path, isolated: Isolated, top: str = "") -> Iterator[str | Skipped]:
    """Paths, relative to `root` and sorted, of the files below its folder `top`; a folder left out is named once.

    Hidden files and links are skipped without a report: a link may lead out of the tree, to files not meant for it.

    Raises:
        IngestError: a folder cannot be read, or the rules of its .gitignore take too long.
    """
    rules: Rules = ()
    folder = ""
    for part in ("", *Path(top).parts):
        folder += f"{part}/" if part else ""
        rules = _with_rules_of(root, folder, rules)
    try:
        yield from _files_below(root, folder, rules, isolated)
    except OSError as error:
        raise IngestError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _files_below(root: Path, folder: str, rules: Rules, isolated: Isolated) -> Iterator[str | Skipped]:
    seen = [path for path in sorted((root / folder).iterdir()) if not (path.name.startswith(".") or path.is_symlink())]
    folders = {path for path in seen if path.is_dir()}
    names = {path: f"{folder}{path.name}{'/' if path in folders else ''}" for path in seen}
    left_out = _left_out(list(names.values()), rules, isolated)
    for path, name in names.items():
        if path in folders:
            if name in left_out:
                yield Skipped(name, IGNORED)
            elif vendored((path.name,)):
                yield Skipped(name, VENDORED)
            else:
                yield from _files_below(root, name, _with_rules_of(root, name, rules), isolated)
        elif path.is_file():
            yield Skipped(name, IGNORED) if name in left_out else name


def _with_rules_of(root: Path, folder: str, rules: Rules) -> Rules:
    path = root / folder / _IGNORE_FILE
    if not path.is_file() or path.is_symlink():
        return rules
    if path.stat().st_size > MAX_RULES_BYTES:
        raise IngestError(f"{path} is larger than {MAX_RULES_BYTES} bytes: rules of so many files are not read.")
    return (*rules, (folder, tuple(path.read_text(encoding="utf-8", errors="replace").splitlines())))


def _left_out(names: list[str], rules: Rules, isolated: Isolated) -> set[str]:
    """Those of a folder's names that are ignored. Found in the process that may be stopped: rules come from anyone."""
    if not rules or not names:
        return set()
    try:
        return isolated.run(ignored, names, rules)
    except Unreadable as problem:
        where = ", ".join(f"{folder}{_IGNORE_FILE}" for folder, _ in rules)
        raise IngestError(f"The rules of {where} cannot be used ({problem}): write them in simpler patterns.") from None


def ignored(names: Sequence[str], rules: Rules) -> set[str]:
    """Those of some paths that are ignored: the innermost folder with a matching rule decides, as in git."""
    return {name for name in names if _is_ignored(name, rules)}


def _is_ignored(name: str, rules: Rules) -> bool:
    for folder, lines in reversed(rules):
        include = _spec(lines).check_file(name.removeprefix(folder)).include
        if include is not None:
            return include
    return False


@lru_cache(maxsize=256)
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a character class: what Python may make of it one day
        return GitIgnoreSpec.from_lines([line for line in lines if _is_rule(line)])


def _is_rule(line: str) -> bool:
    """Whether a line can be used; git passes over the others without a word."""
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
