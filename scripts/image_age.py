"""How old the pinned containers of the LLM are, and whether AWS's own tables say the same of registries.

`.venv/bin/python -m scripts.image_age [CHANGELOG]`; `make setup` comes first. Needs the package registry and, without
the file of a changelog, GitHub; it is therefore no part of `make test`.

Two sources, since neither has both containers: the JSON files behind `image_uris` of the SageMaker SDK (package
sagemaker-core, unpacked under `.local` without its dependencies: nothing of it is run) list LMI's images and every
region's account; the changelog of AWS's containers has the vLLM releases with their dates.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx

from infra.settings.llm_images import IMAGES, REGISTRIES
from services.common.tls import authorities
from twin.target.paths import ROOT

PACKAGE = "sagemaker-core"
TABLES = Path("sagemaker/core/image_uri_config")
CHANGELOG = "https://raw.githubusercontent.com/aws/deep-learning-containers/main/docs/vllm/changelog/index.md"
SECONDS = 30.0
OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")
"""Regions of other partitions than AWS's commercial one, which the stacks leave out."""
RELEASE = re.compile(r"^## v(?P<version>[\d.]+) \S+ (?P<day>\d{4}-\d{2}-\d{2})$", re.MULTILINE)
VLLM_TAG = re.compile(r"-v(?P<version>\d+\.\d+)$")
LMI_TAG = re.compile(r"lmi(?P<version>\d+)\.")


class UnreadableError(ValueError):
    """A source does not have the form that it had; the message names it."""


@dataclass(frozen=True)
class Release:
    """One release of AWS's vLLM container: its version, `2.3` say, and its day."""

    version: str
    day: date


def releases(changelog: str) -> list[Release]:
    """The releases in the changelog of the vLLM container, the newest first.

    Raises:
        UnreadableError: there is none.
    """
    found = [
        Release(".".join(each["version"].split(".")[:2]), date.fromisoformat(each["day"]))
        for each in RELEASE.finditer(changelog)
    ]
    if not found:
        raise UnreadableError(f"{CHANGELOG} has no release of the form '## v2.3.0 - 2026-08-17' any more.")
    return sorted(found, key=lambda release: release.day, reverse=True)


def vllm_age(image: str, changelog: str, today: date) -> str:
    """How old the vLLM container is, and how many releases came after it.

    Raises:
        UnreadableError: the changelog has no releases, or not this one.
    """
    tag = VLLM_TAG.search(image)
    known = releases(changelog)
    own = next((release for release in known if tag is not None and release.version == tag["version"]), None)
    if own is None:
        raise UnreadableError(f"{CHANGELOG} does not know the release of {image}.")
    newer = [release for release in known if release.day > own.day]
    after = f"{len(newer)} newer, up to v{newer[0].version} of {newer[0].day}" if newer else "the newest"
    return f"v{own.version} of {own.day}, {(today - own.day).days} days old: {after}"


def lmi_age(image: str, table: Mapping[str, Any]) -> str:
    """How many versions LMI is ahead in the SDK's table; the SDK names no days.

    Raises:
        UnreadableError: the table names no LMI image.
    """
    own = LMI_TAG.search(image)
    tags = [str(each.get("tag_prefix", "")) for each in table.get("versions", {}).values()]
    newest = max(tags, key=lambda tag: int(found["version"]) if (found := LMI_TAG.search(tag)) else -1, default="")
    found = LMI_TAG.search(newest)
    if own is None or found is None:
        raise UnreadableError(f"djl-lmi.json of {PACKAGE} names no LMI image any more.")
    behind = int(found["version"]) - int(own["version"])
    return f"LMI {own['version']}: {f'{behind} behind {newest}' if behind > 0 else 'as new as the SDK knows'}"


def registry_differences(table: Mapping[str, Any]) -> list[str]:
    """Regions whose account differs between the SDK's table and ours, or that only one of them has."""
    found: dict[str, str] = {}
    for each in table.get("versions", table.get("inference", {}).get("versions", {})).values():
        found |= each.get("registries", {})
    theirs = {region: account for region, account in found.items() if not region.startswith(OTHER_PARTITIONS)}
    return [
        f"{region}: {theirs.get(region, 'none')} in the SDK, {REGISTRIES.get(region, 'none')} here"
        for region in sorted(theirs.keys() | REGISTRIES.keys())
        if theirs.get(region) != REGISTRIES.get(region)
    ]


def report(tables: Path, changelog: str, today: date) -> list[str]:
    """What to say, one line each.

    Raises:
        UnreadableError: a source does not have the form that it had.
        OSError: a table is missing.
    """
    lmi, vllm = (json.loads((tables / f"{name}.json").read_text()) for name in ("djl-lmi", "huggingface-vllm"))
    differences = {name: registry_differences(table) for name, table in (("djl-lmi", lmi), ("huggingface-vllm", vllm))}
    return [
        f"vllm: {vllm_age(IMAGES['vllm'], changelog, today)}",
        f"lmi: {lmi_age(IMAGES['lmi'], lmi)}",
        *(
            f"registries of {name}: {'; '.join(found) or f'the same in {len(REGISTRIES)} regions'}"
            for name, found in differences.items()
        ),
    ]


def main(arguments: Sequence[str] = ()) -> int:
    """Print the report; 1 when a source cannot be read."""
    folder = ROOT / ".local" / "venvs" / PACKAGE
    install = ("-m", "uv", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", str(folder), PACKAGE)
    try:
        subprocess.run([sys.executable, *install], cwd=ROOT, check=True)
        changelog = Path(arguments[0]).read_text() if arguments else _download(CHANGELOG)
        lines = report(folder / TABLES, changelog, datetime.now(UTC).date())
    except (UnreadableError, OSError, httpx.HTTPError, subprocess.CalledProcessError) as error:
        print(f"The age is not known: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _download(url: str) -> str:
    return httpx.get(url, timeout=SECONDS, verify=authorities(), follow_redirects=True).raise_for_status().text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
