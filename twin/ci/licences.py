"""Licences of the deployables' packages, read from the metadata of the installed packages."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from twin.target.paths import ROOT

DEPLOYABLES = ("rag", "evaluation", "llm", "embedding-build")
"""Lock files whose packages are passed on: in an image or a layer, or as the embedding model."""
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"),
        *("Unlicense", "Zlib"),
    }
)
"""SPDX identifiers under which a package may be passed on unchanged beside code of another licence."""
# What packages without an SPDX expression write instead.
_SPELLINGS = {
    "3-clause bsd": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache": "Apache-2.0",
    "apache software": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "isc (iscl)": "ISC",
    "mit": "MIT",
    "mozilla public 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation": "PSF-2.0",
}
_PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^]\n]*+\])?==(?P<version>[^\s;\\]+)\s*(?P<marker>;)?", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Package:
    """A locked package and its licence.

    Attributes:
        licence: SPDX expression, or the package's own wording; empty when it names none or is not installed.
        elsewhere: whether it is locked for another platform only, and not installed here.
    """

    name: str
    licence: str
    elsewhere: bool = False

    @property
    def may_be_passed_on(self) -> bool:
        """Whether each part of the expression offers an allowed licence; a package for another platform needs none."""
        if self.elsewhere:
            return True
        parts = re.split(r" AND (?![^(]*\))", self.licence)
        return all(any(one.strip() in ALLOWED for one in part.strip("() ").split(" OR ")) for part in parts)


def packages() -> list[Package]:
    """Every package of the deployables' locks."""
    found: dict[str, bool] = {}
    for deployable in DEPLOYABLES:
        for name, marked in locked(ROOT / "requirements" / f"{deployable}.txt").items():
            found[name] = found.get(name, True) and marked
    return sorted(_package(name, marked) for name, marked in found.items())


def locked(lock: Path) -> dict[str, bool]:
    """Names in a lock file, and whether a marker keeps each of them to some platforms or Pythons only."""
    found: dict[str, bool] = {}
    for match in _PINNED.finditer(lock.read_text(encoding="utf-8")):
        found[match["name"]] = found.get(match["name"], True) and match["marker"] is not None
    return found


def licence_of(described: metadata.PackageMetadata) -> str:
    """The licence as an SPDX expression where the metadata allow that: expression, else classifiers, else free text."""
    if "License-Expression" in described:
        return described["License-Expression"]
    classified = [
        each.rpartition(" :: ")[2]
        for each in described.get_all("Classifier") or ()
        if each.startswith("License :: OSI Approved :: ")
    ]
    written = described["License"].strip() if "License" in described else ""
    return " OR ".join(_spdx(each) for each in classified) or _spdx(written.splitlines()[0] if written else "")


def report(found: list[Package]) -> str:
    """Markdown table of the licences and the number of their packages, with the packages that were not read."""
    counted = Counter(package.licence for package in found if not package.elsewhere)
    lines = [
        "| licence | packages |",
        "|---|---:|",
        *(f"| {name} | {count} |" for name, count in counted.most_common()),
    ]
    elsewhere = [package.name for package in found if package.elsewhere]
    if elsewhere:
        lines += ["", f"Not on this platform, so not read: {', '.join(elsewhere)}."]
    return "\n".join(lines)


def _package(name: str, marked: bool) -> Package:
    try:
        return Package(name, licence_of(metadata.metadata(name)))
    except metadata.PackageNotFoundError:
        return Package(name, "", elsewhere=marked)


def _spdx(text: str) -> str:
    words = re.sub(r"\b(the|licen[sc]e|\(mit\)|version)\b|\(MIT\)|,", " ", text, flags=re.IGNORECASE)
    return _SPELLINGS.get(" ".join(words.lower().split()), text)
