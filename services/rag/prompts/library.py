"""Reads prompts: files `NAME.vVERSION.txt`, of which `active.toml` says what is in use.

A file holds the system message and, after a line `--- user ---`, the user message, with `{{variables}}`. The second
part may be missing where code alone makes the user message.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

ACTIVE = "active.toml"
USER = "\n--- user ---\n"
COMMIT_LENGTH = 8
_FILE = re.compile(r"(?P<name>[a-z0-9_]+)\.v(?P<version>[0-9]+)\.txt")
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class UnknownPrompt(LookupError):
    """There is no such prompt, version, or an earlier version in use; the message names what there is."""


@dataclass(frozen=True)
class Template:
    """One version of a prompt, as traces and samples name it."""

    name: str
    version: str
    system: str
    user: str = ""

    @property
    def text(self) -> str:
        """The whole template, as its file has it."""
        return f"{self.system}{USER}{self.user}" if self.user else self.system

    @property
    def commit(self) -> str:
        """Eight hexadecimal digits that follow from the text: the same text has the same commit everywhere."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:COMMIT_LENGTH]

    def render_user(self, **variables: str) -> str:
        """The user message. One pass over the template only: braces in what is put in stay what they are.

        Raises:
            KeyError: the template has a variable that is not given.
        """
        return _VARIABLE.sub(lambda found: variables[found[1]], self.user)


class PromptLibrary:
    """The prompts of one folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Prepare; files are read when asked for.

        Args:
            folder: where the files are; None means the package's own.
        """
        self.folder = folder or Path(str(resources.files("services.rag") / "prompts"))

    def versions(self) -> dict[str, list[str]]:
        """The versions of every prompt, oldest first."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.folder.iterdir()):
            if match := _FILE.fullmatch(path.name):
                found.setdefault(match["name"], []).append(match["version"])
        return {name: sorted(versions, key=int) for name, versions in found.items()}

    def history(self, name: str) -> list[str]:
        """The versions that were in use, the one in use last. A prompt without a choice has its newest version only.

        Raises:
            UnknownPrompt: there is no such prompt.
        """
        chosen = tomllib.loads((self.folder / ACTIVE).read_text(encoding="utf-8")).get(name)
        return [str(version) for version in chosen] if chosen else [self._versions_of(name)[-1]]

    def active(self, name: str) -> Template:
        """The version in use.

        Raises:
            UnknownPrompt: there is no such prompt.
        """
        return self.load(name, self.history(name)[-1])

    def load(self, name: str, version: str) -> Template:
        """One version.

        Raises:
            UnknownPrompt: there is no such prompt or version.
        """
        versions = self._versions_of(name)
        if version not in versions:
            raise UnknownPrompt(f"Prompt {name} has no version {version}; there are {', '.join(versions)}.")
        text = (self.folder / f"{name}.v{version}.txt").read_text(encoding="utf-8").strip()
        system, _, user = text.partition(USER)
        return Template(name, version, system.strip(), user.strip())

    def choose(self, name: str, version: str) -> None:
        """Put a version in use; the earlier ones stay in the history, for `go_back`.

        Raises:
            UnknownPrompt: there is no such prompt or version, or its version is set in code.
        """
        self.load(name, version)
        history = self.history(name)
        if history[-1] != version:
            self._write(name, [*history, version])

    def go_back(self, name: str) -> str:
        """Put the previous version in use; returns it.

        Raises:
            UnknownPrompt: there is no such prompt, or no previous version.
        """
        history = self.history(name)
        if len(history) < 2:
            raise UnknownPrompt(f"Prompt {name} has no version that was in use before version {history[-1]}.")
        self._write(name, history[:-1])
        return history[-2]

    def _versions_of(self, name: str) -> list[str]:
        found = self.versions()
        if name not in found:
            raise UnknownPrompt(f"There is no prompt {name!r}; there are {', '.join(found)}.")
        return found[name]

    def _write(self, name: str, history: list[str]) -> None:
        path = self.folder / ACTIVE
        lines = path.read_text(encoding="utf-8").splitlines()
        at = next((number for number, line in enumerate(lines) if line.partition("=")[0].strip() == name), None)
        if at is None:
            raise UnknownPrompt(f"The version of prompt {name} is set in code, not in {ACTIVE}.")
        quoted = ", ".join(f'"{version}"' for version in history)
        lines[at] = f"{name} = [{quoted}]"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
