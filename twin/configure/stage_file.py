"""The settings file of a stage, changed in place: comments and everything that is not answered stay."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from infra.settings.deployment import CONFIG, EPHEMERAL, SettingsError, load_settings
from infra.settings.placeholders import is_placeholder
from twin.target.errors import TwinError
from twin.target.stage import STAGE_NAME

MODEL = "dev"
"""Stage whose file a new stage begins with."""
HOSTED = "hosted"


@dataclass(frozen=True)
class Answers:
    """What a stage is told; None leaves what the file says.

    Attributes:
        store: `HOSTED` for a machine of the stage, else the address of a Qdrant; None for a machine of the stage where
            the file has an example's address.
        opik: address of Opik's API.
        model: `OWNER/NAME` on the hub, with `revision`, its commit.
    """

    region: str | None = None
    store: str | None = None
    opik: str | None = None
    model: str | None = None
    revision: str | None = None
    emails: tuple[str, ...] | None = None
    budget_usd: float | None = None
    documents_bucket: str | None = None

    def values(self) -> dict[str, Any]:
        """`table.name` -> value, for what is answered; the top of the file has no table."""
        found: dict[str, Any] = {
            "region": self.region,
            "monitoring.opik_url": self.opik,
            "llm.model_id": self.model,
            "llm.model_revision": self.revision,
            "evaluation.alert_emails": None if self.emails is None else list(self.emails),
            "guard.monthly_budget_usd": _whole(self.budget_usd),
            "rag.documents_bucket": self.documents_bucket,
        }
        return {name: value for name, value in found.items() if value is not None}


def _whole(number: float | None) -> float | None:
    return int(number) if number is not None and number == int(number) else number


def stage_file(stage: str) -> Path:
    """Path of the settings of a stage, which need not exist.

    Raises:
        TwinError: the stage cannot have a file of its own.
    """
    if not STAGE_NAME.fullmatch(stage) or stage == "local" or EPHEMERAL.fullmatch(stage):
        raise TwinError(
            f"{stage!r} cannot be set up: choose dev, prod, or another name of lower-case letters and digits. "
            "The stage local needs no set-up, and previews share infra/config/preview.toml."
        )
    return CONFIG / f"{stage}.toml"


def write(stage: str, answers: Answers) -> Path:
    """Write the answers into the settings of a stage; a stage without a file begins with that of `dev`.

    Raises:
        TwinError: the file is not valid TOML, or would not be valid settings; then it is as it was.
    """
    path = stage_file(stage)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(_changed(before if before is not None else _first(stage), answers, path), encoding="utf-8")
    try:
        load_settings(stage)
    except SettingsError as error:
        with contextlib.suppress(FileNotFoundError):
            path.unlink() if before is None else path.write_text(before, encoding="utf-8")
        raise TwinError(f"Nothing was written: {error}") from None
    return path


def _first(stage: str) -> str:
    _, _, rest = (CONFIG / f"{MODEL}.toml").read_text(encoding="utf-8").partition("\n")
    return f"# Stage {stage}. Set `account`, or leave it to the AWS profile.\n{rest}"


def _changed(text: str, answers: Answers, path: Path) -> str:
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise TwinError(f"infra/config/{path.name} is not valid TOML: {error}.") from None
    for name, value in answers.values().items():
        table, _, key = name.rpartition(".")
        _table(document, table)[key] = value
    _set_store(_table(document, "vectors"), answers.store)
    return tomlkit.dumps(document)


def _table(document: Any, name: str) -> Any:
    if not name:
        return document
    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def _set_store(table: Any, store: str | None) -> None:
    """Without an answer a store that is somewhere stays; an example's address is replaced by a machine of the stage."""
    if store is None and (HOSTED in table or not is_placeholder(table.get("url", "https://qdrant.example"))):
        return
    if store in (None, HOSTED):
        table.pop("url", None)
        if HOSTED not in table:
            table[HOSTED] = tomlkit.inline_table()
        return
    table.pop(HOSTED, None)
    table["url"] = store
