"""Keys of the local Qdrant: new with every start of the local cloud, in a file that its user alone can read."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from localcloud.errors import LocalCloudError


@dataclass(frozen=True)
class StoreKeys:
    """The key that may write, and the one that may only read."""

    write: str
    read: str

    @property
    def environment(self) -> dict[str, str]:
        """Both as the variables of Qdrant's own settings."""
        return {"QDRANT__SERVICE__API_KEY": self.write, "QDRANT__SERVICE__READ_ONLY_API_KEY": self.read}


def make_store_keys(root: Path) -> StoreKeys:
    """New keys of the local cloud in `root`, which replace those of its last start."""
    keys = StoreKeys(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    path = _path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(keys), file)
    return keys


def store_keys(root: Path) -> StoreKeys:
    """Keys of the local cloud that runs in `root`.

    Raises:
        LocalCloudError: the file is missing or damaged.
    """
    path = _path(root)
    try:
        return StoreKeys(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise LocalCloudError(
            f"{path} does not hold the local Qdrant's keys: run `make local-stop`, then start again."
        ) from None


def _path(root: Path) -> Path:
    return root / ".local" / "qdrant-keys.json"
