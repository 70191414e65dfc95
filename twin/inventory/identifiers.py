"""Ids and tags of resources, in the forms in which AWS's lists show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

IDENTIFYING = ("Name", "Arn", "ARN", "Id", "Url")
"""Ends of the fields that say which resource an item of a list is, or which one it belongs to."""
VERSION = re.compile(r":\d+$")


def id_aliases(identifier: str) -> set[str]:
    """An id in every form that lists use: whole, and without what an ARN or a URL puts around it."""
    plain = identifier.split("|")[0]
    found = {identifier, plain}
    if plain.startswith("arn:"):
        resource = plain.split(":", 5)[5]
        name = re.split("[:/]", resource, maxsplit=1)[-1]
        found |= {resource, name}
    if "://" in plain:
        # A queue's address ends in its name, as its ARN does.
        found.add(plain.rpartition("/")[2])
    found |= {VERSION.sub("", alias) for alias in found}
    return found - {""}


def ids_of(item: Any) -> set[str]:
    """Aliases of every id that an item of a list names."""
    if isinstance(item, str):
        return id_aliases(item)
    if not isinstance(item, Mapping):
        return set()
    values = (value for key, value in item.items() if isinstance(value, str) and key.endswith(IDENTIFYING))
    return {alias for value in values for alias in id_aliases(value)}


def tags_of(item: Any) -> dict[str, str]:
    """Tags of an item, whichever of its three spellings the service uses."""
    if not isinstance(item, Mapping):
        return {}
    found = item.get("Tags") or item.get("TagSet") or item.get("tags") or ()
    if isinstance(found, Mapping):
        return dict(found)
    return {str(tag.get("Key", tag.get("key"))): str(tag.get("Value", tag.get("value", ""))) for tag in found}
