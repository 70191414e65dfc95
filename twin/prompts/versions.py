"""`twin prompts`: versions of the prompts, which of them is in use, and their registration in Opik."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import httpx

from services.common.ids import uuid7
from services.rag.prompts.library import COMMIT_LENGTH, PromptLibrary, Template, UnknownPrompt
from twin.target.errors import TwinError

PROMPTS = "/v1/private/prompts"


@dataclass(frozen=True)
class Row:
    """One version of a prompt as `list` shows it."""

    name: str
    version: str
    commit: str
    active: bool


def rows(library: PromptLibrary) -> list[Row]:
    """Every version of every prompt."""
    found: list[Row] = []
    for name, versions in library.versions().items():
        active = library.history(name)[-1]
        found += [Row(name, v, library.load(name, v).commit, v == active) for v in versions]
    return found


def diff(library: PromptLibrary, name: str, before: str | None, after: str | None) -> list[str]:
    """The unified difference between two versions.

    Args:
        before: None means the version in use.
        after: None means the newest version.

    Raises:
        TwinError: there is no such prompt or version.
    """
    try:
        old = library.load(name, before) if before else library.active(name)
        new = library.load(name, after or library.versions()[name][-1])
    except UnknownPrompt as error:
        raise TwinError(str(error)) from None
    names = (f"{name}.v{old.version}", f"{name}.v{new.version}")
    return list(difflib.unified_diff(old.text.splitlines(), new.text.splitlines(), *names, lineterm=""))


def promote(library: PromptLibrary, name: str, version: str) -> str:
    """Put a version in use with the next deployment; returns it.

    Raises:
        TwinError: there is no such prompt or version, or the code itself names the version.
    """
    try:
        library.choose(name, version)
    except UnknownPrompt as error:
        raise TwinError(str(error)) from None
    return version


def rollback(library: PromptLibrary, name: str) -> str:
    """Put the version in use that was before, with the next deployment; returns it.

    Raises:
        TwinError: there is no such prompt, or no version before.
    """
    try:
        return library.go_back(name)
    except UnknownPrompt as error:
        raise TwinError(str(error)) from None


def register(opik: httpx.Client, library: PromptLibrary, project: str) -> list[str]:
    """Register every prompt in use as a version in Opik, where its newest version has another text.

    A version's id ends in the commit that traces name, which is what Opik takes a commit from.

    Args:
        opik: a client at the address of Opik's API, which ends in `/api`.
        library: where the prompts are.
        project: they belong to.

    Returns:
        The names of prompts that got a new version.

    Raises:
        TwinError: Opik does not answer, or refused a prompt.
    """
    try:
        active = [library.active(name) for name in library.versions()]
        return [template.name for template in active if _register(opik, template, project)]
    except httpx.HTTPError as error:
        raise TwinError(f"The prompts cannot be registered in Opik at {opik.base_url}: {error}.") from None


def _register(opik: httpx.Client, template: Template, project: str) -> bool:
    asked = {"name": template.name, "project_name": project}
    newest = opik.post(f"{PROMPTS}/versions/retrieve", json=asked)
    if newest.status_code != httpx.codes.NOT_FOUND:
        newest.raise_for_status()
        if newest.json()["template"] == template.text:
            return False
    version: dict[str, Any] = {
        "id": f"{uuid7()[:-COMMIT_LENGTH]}{template.commit}",
        "commit": template.commit,
        "template": template.text,
        "type": "mustache",
        "metadata": {"version": template.version, "commit": template.commit},
        "change_description": f"Version {template.version} of the file.",
    }
    opik.post(f"{PROMPTS}/versions", json={**asked, "version": version}).raise_for_status()
    return True
