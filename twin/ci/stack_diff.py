"""Changes of each stack between two synthesized assemblies, by `cdk diff`; needs no AWS account."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twin.cost import assembly
from twin.target.cdk import environment
from twin.target.errors import TwinError
from twin.target.paths import ROOT

RESOURCE = re.compile(
    r"^\[(?P<sign>[-+~])\] (?P<kind>[A-Za-z]\w*(?:::[\w-]+)+) (?P<name>.+?)"
    r"(?: (?P<impact>replace|may be replaced|destroy|orphan))?$"
)
DONE = {"+": "added", "-": "removed", "~": "updated"}
IMPACT = {"replace": "replaced", "may be replaced": "may be replaced", "orphan": "left behind", "destroy": "removed"}
REPLACEMENTS = ("replaced", "may be replaced")
EMPTY: dict[str, dict[str, str]] = {"Resources": {}}
SECONDS = 120


@dataclass(frozen=True)
class ResourceChange:
    """One resource and what happens to it: a value of `DONE` or `IMPACT`."""

    kind: str
    name: str
    what: str

    @property
    def replaces(self) -> bool:
        """Whether the existing resource is, or may be, replaced by a new one."""
        return self.what in REPLACEMENTS


@dataclass(frozen=True)
class StackChange:
    """One stack; no resources mean that nothing changes."""

    stack: str
    resources: tuple[ResourceChange, ...]


def compare(base: Path, head: Path) -> list[StackChange]:
    """Changes of each stack of either assembly, in the order of their names; `cdk diff` runs where templates differ.

    Raises:
        TwinError: a folder is no assembly, or `cdk diff` failed.
    """
    old, new = (set(assembly.read(folder).stacks) for folder in (base, head))
    with tempfile.TemporaryDirectory(prefix="twin-diff-") as folder:
        empty = Path(folder) / "empty.json"
        empty.write_text(json.dumps(EMPTY))
        changes = [
            StackChange(name, _changes(name, head, _template(base, name) if name in old else empty))
            for name in sorted(new)
        ]
    return [*changes, *(_gone(base, name) for name in sorted(old - new))]


def parse(output: str) -> Iterator[ResourceChange]:
    """Resources in the output of `cdk diff --no-color`."""
    for line in output.splitlines():
        if found := RESOURCE.match(line):
            what = IMPACT.get(found["impact"] or "", DONE[found["sign"]])
            yield ResourceChange(found["kind"], found["name"], what)


def _changes(stack: str, head: Path, before: Path) -> tuple[ResourceChange, ...]:
    if before.read_bytes() == _template(head, stack).read_bytes():
        return ()
    return tuple(parse(_diff(stack, head, before)))


def _gone(base: Path, name: str) -> StackChange:
    resources = json.loads(_template(base, name).read_text()).get("Resources", {})
    return StackChange(name, tuple(ResourceChange(each["Type"], key, "removed") for key, each in resources.items()))


def _template(folder: Path, stack: str) -> Path:
    return folder / f"{stack}.template.json"


def _diff(stack: str, head: Path, template: Path) -> str:
    command = [
        *(str(ROOT / "node_modules" / ".bin" / "cdk"), "diff", stack, "--exclusively"),
        *("--app", str(head.resolve()), "--template", str(template.resolve())),
        *("--no-color", "--no-notices", "--no-version-reporting"),
    ]
    # No AWS is needed; without this variable the SDK would ask the instance metadata for credentials and wait.
    env = environment({"AWS_EC2_METADATA_DISABLED": "true", "NO_COLOR": "1"})
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise TwinError(f"`cdk diff {stack}` failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
