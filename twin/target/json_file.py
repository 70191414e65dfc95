"""JSON files that one step of a workflow writes for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twin.target.errors import TwinError


def read_json(path: Path) -> Any:
    """The document in `path`.

    Raises:
        TwinError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TwinError(f"{path} is missing: the step before did not write it.") from None
    except (OSError, ValueError) as error:
        raise TwinError(f"{path} cannot be read: {error}") from None
