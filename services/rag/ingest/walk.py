"""Files of a folder, without what its .gitignore files and vendored folders hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from services.rag.ingest.documents import IngestError, Skipped
from services.rag.ingest.formats import vendored

IGNORED = "ignored by .gitignore"
VENDORED = "vendored or generated"
_IGNORE_FILE = ".gitignore"

# A folder below the root, as a path that ends with a slash, and the rules that it brings; the outermost first.
_Rules = tuple[tuple[str, GitIgnoreSpec], ...]


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


def walk(root: Path, top: str = "") -> Iterator[str | Skipped]:
    """Paths, relative to `root` and sorted, of the files below its folder `top`; a folder left out is named once.

    Hidden files and links are skipped without a report: a link may lead out of the tree, to files not meant for it.

    Raises:
        IngestError: a folder cannot be read.
    """
    rules: _Rules = ()
    folder = ""
    for part in ("", *Path(top).parts):
        folder += f"{part}/" if part else ""
        rules = _with_rules_of(root, folder, rules)
    try:
        yield from _files_below(root, folder, rules)
    except OSError as error:
        raise IngestError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _files_below(root: Path, folder: str, rules: _Rules) -> Iterator[str | Skipped]:
    for path in sorted((root / folder).iterdir()):
        name = f"{folder}{path.name}"
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            if _ignored(f"{name}/", rules):
                yield Skipped(f"{name}/", IGNORED)
            elif vendored((path.name,)):
                yield Skipped(f"{name}/", VENDORED)
            else:
                yield from _files_below(root, f"{name}/", _with_rules_of(root, f"{name}/", rules))
        elif path.is_file():
            yield Skipped(name, IGNORED) if _ignored(name, rules) else name


def _with_rules_of(root: Path, folder: str, rules: _Rules) -> _Rules:
    path = root / folder / _IGNORE_FILE
    if not path.is_file() or path.is_symlink():
        return rules
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return (*rules, (folder, GitIgnoreSpec.from_lines(lines)))


def _ignored(name: str, rules: _Rules) -> bool:
    """Whether a path is ignored: the innermost folder with a matching rule decides, as in git."""
    for folder, spec in reversed(rules):
        include = spec.check_file(name.removeprefix(folder)).include
        if include is not None:
            return include
    return False
