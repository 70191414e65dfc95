"""What is looked at from outside: dependencies, secrets, the image's recipe, templates, the list of parts."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twin.ci.image import DOCKERFILE
from twin.ci.tools import read, run
from twin.target.errors import TwinError
from twin.target.paths import ROOT, VENV

ACCEPTED_SECRETS = ROOT / ".secrets.toml"
"""Findings of the secret scan that were looked at and are none."""
ACCEPTED = ROOT / "infra" / "checkov.yaml"
WORKFLOWS = ROOT / ".github" / "workflows"
ACTIONLINT = ROOT / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"


def audit() -> None:
    """Known vulnerabilities of every locked package.

    Raises:
        TwinError: one is vulnerable, or the advisories could not be asked about it.
    """
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    given = [part for lock in locks for part in ("--requirement", str(lock))]
    run("audit", "pip-audit", ["--strict", "--require-hashes", "--disable-pip", *given])
    _npm_audit()


def secrets() -> None:
    """Secrets in the files that Git knows.

    Keywords are not looked for: a variable named `password` in a test is no finding, its value is one by its form.

    Raises:
        TwinError: something looks like one and is not accepted.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file() and name != ACCEPTED_SECRETS.name]
    found = json.loads(read("audit", "detect-secrets", ["scan", "--disable-plugin", "KeywordDetector", *files]))
    if unknown := unaccepted(found["results"], tomllib.loads(ACCEPTED_SECRETS.read_text(encoding="utf-8"))["accepted"]):
        raise TwinError(
            f"{'; '.join(unknown)}. Take it out and revoke it, or accept it in {ACCEPTED_SECRETS.name} with a reason."
        )
    print(f"{len(files)} files hold no secret.")


def unaccepted(found: Mapping[str, list[dict[str, Any]]], accepted: Iterable[Mapping[str, str]]) -> list[str]:
    """Findings of the scan, by file, that no entry accepts; without what was found."""
    known = {(entry["file"], entry["sha1"]) for entry in accepted}
    return [
        f"{file}:{each['line_number']} looks like a secret ({each['type']}, SHA-1 {each['hashed_secret']})"
        for file, each_file in found.items()
        for each in each_file
        if (file, each["hashed_secret"]) not in known
    ]


def dockerfile() -> None:
    """The image's recipe against hadolint's rules.

    Raises:
        TwinError: it breaks one.
    """
    run("audit", "hadolint", [str(DOCKERFILE)])


def bill_of_materials(deployable: str, out: Path) -> None:
    """A CycloneDX document of a deployable's locked packages, with their hashes.

    Raises:
        TwinError: there is no such lock file.
    """
    lock = ROOT / "requirements" / f"{deployable}.txt"
    if not lock.is_file():
        raise TwinError(f"{lock.relative_to(ROOT)} does not exist: {deployable!r} is no deployable.")
    out.parent.mkdir(parents=True, exist_ok=True)
    options = [
        "--pyproject",
        str(ROOT / "pyproject.toml"),
        "--output-reproducible",
        "--output-file",
        str(out.resolve()),
    ]
    run("audit", "cyclonedx-py", ["requirements", *options, str(lock)])


def templates(assembly: Path) -> None:
    """Synthesized templates against checkov's rules.

    Raises:
        TwinError: one breaks a rule that `infra/checkov.yaml` does not accept.
    """
    files = sorted(assembly.glob("*.template.json"))
    if not files:
        raise TwinError(f"{assembly} holds no templates: `make ci-assembly STAGE=... OUT={assembly}` first.")
    options = ["--framework", "cloudformation", "--quiet", "--compact", "--skip-download"]
    given = [part for file in files for part in ("--file", str(file.resolve()))]
    run("checkov", "checkov", ["--config-file", str(ACCEPTED), *options, *given])


def workflows(folder: Path = WORKFLOWS) -> None:
    """What makes a workflow wrong (actionlint) or dangerous (zizmor).

    Args:
        folder: with the workflows' files.

    Raises:
        TwinError: a tool found something; it printed what.
    """
    # The WebAssembly build of actionlint, since it comes from a package registry like every other tool here.
    actionlint = [str(_node()), str(ACTIONLINT), str(folder / "*.yaml")]
    zizmor = [str(VENV / "bin" / "zizmor"), "--offline", "--no-progress", "--persona", "pedantic", str(folder.parent)]
    found = [name for name, command in (("actionlint", actionlint), ("zizmor", zizmor)) if _fails(command)]
    if found:
        raise TwinError(f"{' and '.join(found)} found something in the workflows; it is above.")


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False).returncode != 0


def _node() -> Path:
    from twin.target.node import find_node

    node = find_node(VENV)
    if node is None:
        raise TwinError("There is no Node: run `make setup`.")
    return node


def _npm_audit() -> None:
    from twin.target.node import npm_command

    done = subprocess.run([*npm_command(_node()), "audit", "--audit-level=moderate"], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise TwinError("`npm audit` found something in package-lock.json, or could not ask; it is above.")
