"""The vector store of a stage: its address and key, and the environment of a program that works on it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from infra.settings.deployment import SettingsError, load_settings
from infra.settings.placeholders import is_placeholder
from localcloud.store_keys import store_keys
from twin.target.deployment import outputs
from twin.target.errors import TwinError
from twin.target.paths import EMBEDDING_MODEL, STATE_ROOT
from twin.target.stage import Stage, address, connect

READ_KEY, WRITE_KEY = "QdrantApiKeySecretArn", "QdrantWriteKeySecretArn"
TUNNEL = (
    "The vector store of stage {stage} is closed to the outside. Open a tunnel to it (docs/vectors.md) and name its "
    "end as https://127.0.0.1:6333 (--url, or QDRANT_URL), its key in QDRANT_API_KEY and its certificate in "
    "QDRANT_CA_FILE."
)


@dataclass(frozen=True)
class StoreAccess:
    """How a program reaches a store.

    Attributes:
        ca_file: certificates to trust instead of the system's.
    """

    url: str
    key: str | None
    ca_file: str | None = None


def store_access(stage_name: str, stage: Stage | None, url: str | None, *, key_output: str = READ_KEY) -> StoreAccess:
    """Access to the store at `url`, else to the stage's own.

    On AWS the caller's QDRANT_URL counts before the stage's settings.

    Args:
        key_output: stack output that names the secret of the key: READ_KEY or WRITE_KEY.

    Raises:
        TwinError: the stage is not deployed, or its store can only be reached through a tunnel.
    """
    if url is None and stage is not None and stage.local is not None:
        keys = store_keys(STATE_ROOT)
        return StoreAccess(address(stage.local, "qdrant"), keys.write if key_output == WRITE_KEY else keys.read)
    url, ca_file = url or os.environ.get("QDRANT_URL"), os.environ.get("QDRANT_CA_FILE")
    if url is not None:
        return StoreAccess(url, os.environ.get("QDRANT_API_KEY"), ca_file)
    try:
        elsewhere = load_settings(stage_name).vectors.url
    except SettingsError as error:
        raise TwinError(str(error)) from None
    if elsewhere is None:
        raise TwinError(TUNNEL.format(stage=stage_name))
    if is_placeholder(elsewhere):
        raise TwinError(
            f"vectors.url of stage {stage_name} is the example {elsewhere}: run `twin init --stage {stage_name}`, "
            "or name the store in QDRANT_URL, with its key in QDRANT_API_KEY."
        )
    stage = stage or connect(stage_name)
    return StoreAccess(elsewhere, stage.secret(outputs(stage)[key_output]), ca_file)


def store_environment(stage: Stage, *, writes: bool) -> dict[str, str]:
    """Environment of a program of the RAG service that works on the stage's vector store from this machine.

    Args:
        stage: whose store it is.
        writes: whether the program changes the store; it gets a key that only reads otherwise.

    Raises:
        TwinError: the stage's settings are wrong, it is not deployed, or its store can only be reached by a tunnel.
    """
    access = store_access(stage.name, stage, None, key_output=WRITE_KEY if writes else READ_KEY)
    store = {"QDRANT_URL": access.url, **({"QDRANT_API_KEY": access.key} if access.key else {})}
    model = {"EMBEDDING_MODEL_DIR": str(EMBEDDING_MODEL)}
    if stage.local is not None:
        return {**os.environ, **stage.environment, **model, **store}
    return {**model, **_tenant(stage.name), **os.environ, **stage.environment, **store}


def _tenant(stage: str) -> dict[str, str]:
    """The stage's tenant; nothing for a stage without settings, whose store the environment names."""
    try:
        return {"TENANT": load_settings(stage).retrieval.tenant}
    except SettingsError as error:
        if "QDRANT_URL" in os.environ:
            return {}
        raise TwinError(str(error)) from None
