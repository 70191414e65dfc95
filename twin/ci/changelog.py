"""Release notes out of CHANGELOG.md."""

from __future__ import annotations

import re

from twin.target.errors import TwinError


def section(changelog: str, version: str) -> str:
    """What is below the heading of `version` (`## 1.2.3`, `## [1.2.3] - date`), up to the next version.

    Raises:
        TwinError: there is no such heading, or nothing below it.
    """
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?(?:\s.*)?$", re.MULTILINE)
    found = heading.search(changelog)
    text = re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip() if found else ""
    if not text:
        raise TwinError(f"CHANGELOG.md says nothing about {version}: write its section before the tag.")
    return text
