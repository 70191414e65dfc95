"""Reads a cloud assembly (`cdk.out`): its stacks with their regions and resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import takewhile
from pathlib import Path
from typing import Any

from twin.cost.prices import HOME_REGION
from twin.target.errors import TwinError

Properties = Mapping[str, Any]
STACK = "aws:cloudformation:stack"
UNKNOWN_REGION = "unknown-region"


class NotANumberError(ValueError):
    """A property that should be a number is something that only the deployment knows."""


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    region: str
    logical_id: str
    kind: str
    properties: Properties


@dataclass(frozen=True)
class Assembly:
    """Every resource of a cloud assembly, stack by stack."""

    resources: tuple[Resource, ...]

    def of(self, kind: str, stack: str | None = None) -> Iterator[Resource]:
        """Resources of one type, of one stack or of all."""
        return (each for each in self.resources if each.kind == kind and stack in (None, each.stack))

    @property
    def stacks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(resource.stack for resource in self.resources))


def read(folder: Path) -> Assembly:
    """Read the templates that the manifest of `folder` names.

    Raises:
        TwinError: when the folder is no cloud assembly, holds no stack, or a template cannot be read.
    """
    try:
        artifacts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
        stacks = {name: artifact for name, artifact in artifacts.items() if artifact.get("type") == STACK}
        found = tuple(resource for name, artifact in stacks.items() for resource in _resources(folder, name, artifact))
    except FileNotFoundError as error:
        raise TwinError(f"{folder} is no cloud assembly: {Path(error.filename).name} is missing in it.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TwinError(f"A template in {folder} is not readable: {type(error).__name__}: {error}.") from None
    if not found:
        raise TwinError(f"{folder} holds no stack with resources.")
    return Assembly(found)


def refers_to(value: object, logical_id: str) -> bool:
    """Whether a property holds a `Ref` or `Fn::GetAtt` to a resource of the same stack, at any depth."""
    if isinstance(value, Mapping):
        attribute = value.get("Fn::GetAtt")
        if value.get("Ref") == logical_id or (isinstance(attribute, list) and attribute[:1] == [logical_id]):
            return True
        return any(refers_to(each, logical_id) for each in value.values())
    return isinstance(value, list) and any(refers_to(each, logical_id) for each in value)


def number(value: object) -> Decimal:
    """A number of a template, which may be written as text.

    Raises:
        NotANumberError: for a reference or anything else whose value only the deployment knows.
    """
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except InvalidOperation:
            pass
    raise NotANumberError(f"{json.dumps(value)} is no number")


def count(value: object) -> int:
    """How many elements a list of a template has.

    Raises:
        NotANumberError: for anything but a list, like a reference to a list of another stack.
    """
    if not isinstance(value, list | tuple):
        raise NotANumberError(f"{json.dumps(value)} is no list")
    return len(value)


def short_names(stacks: Iterable[str]) -> dict[str, str]:
    """Names of stacks without the words that all of them start with; the last word of a name always stays."""
    names = sorted(set(stacks))
    words = zip(*(name.split("-")[:-1] for name in names), strict=False)
    prefix = "".join(f"{each[0]}-" for each in takewhile(lambda each: len(set(each)) == 1, words))
    return {name: name.removeprefix(prefix) for name in names}


def _resources(folder: Path, name: str, artifact: Mapping[str, Any]) -> Iterator[Resource]:
    properties = artifact["properties"]
    region = str(artifact["environment"]).rsplit("/", 1)[-1]
    template = json.loads((folder / properties["templateFile"]).read_text(encoding="utf-8"))
    for logical_id, resource in template["Resources"].items():
        yield Resource(
            stack=properties.get("stackName", name),
            region=HOME_REGION if region == UNKNOWN_REGION else region,
            logical_id=logical_id,
            kind=resource["Type"],
            properties=resource.get("Properties", {}),
        )
