"""Stack outputs of a stage, its API key, and secrets that no template fills."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from localcloud.store_keys import store_keys
from twin.target.cloudformation import CloudFormation
from twin.target.errors import TwinError
from twin.target.paths import LOCAL, STATE_ROOT
from twin.target.stage import Stage, address


def outputs(stage: Stage) -> dict[str, str]:
    """Every output of the stage's stacks, by output name.

    Raises:
        TwinError: when a stack is not deployed.
    """
    cloudformation = CloudFormation(stage)
    found: dict[str, str] = {}
    for name in stage.stacks:
        stack = cloudformation.stack(name)
        if stack is None:
            raise TwinError(f"Stack {name} is not deployed: run `make deploy-inference-pipeline STAGE={stage.name}`.")
        found |= stack.outputs
    return found


def key_file(stage: Stage) -> Path:
    """File of the stage's plain API key on this machine, readable by its owner only."""
    return LOCAL / "keys" / stage.name


def ensure_api_key(stage: Stage, secret_arn: str) -> str:
    """The caller's API key: the one kept here when the service knows it, else a new one.

    Only the SHA-256 of a key goes to Secrets Manager. A new key replaces only the one of the same person or workflow.
    """
    known = _known_keys(stage.secret(secret_arn))
    path = key_file(stage)
    if path.exists():
        key = path.read_text().strip()
        if any(entry["sha256"] == _digest(key) for entry in known):
            return key
    key = f"twin-{secrets.token_urlsafe(32)}"
    name = key_name()
    entries = [*(entry for entry in known if entry["name"] != name), {"name": name, "sha256": _digest(key)}]
    new = json.dumps({"keys": entries})
    stage.client("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString=new)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_text(key)
    return key


def key_name() -> str:
    """Name of the caller's key: the workflow on GitHub's runners, whose disks keep no key, else the user."""
    workflow = os.environ.get("GITHUB_WORKFLOW")
    name = f"github-{workflow}" if workflow else getpass.getuser()
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower())


def api_key(stage: Stage) -> str:
    """The API key that `twin deploy` stored on this machine.

    Raises:
        TwinError: when this machine has none for the stage.
    """
    try:
        return key_file(stage).read_text().strip()
    except FileNotFoundError:
        message = (
            f"No API key of stage {stage.name} is kept here: run `make deploy-inference-pipeline STAGE={stage.name}`."
        )
        raise TwinError(message) from None


def fill_local_secrets(stage: Stage, found: dict[str, str]) -> None:
    """Point the stage's notifications at the local webhook sink, and hand out the local Qdrant's keys."""
    if stage.local is None:
        return
    keys = store_keys(STATE_ROOT)
    for output, value in (
        ("SlackWebhookSecretArn", f"{address(stage.local, 'sink')}/slack/alerts"),
        ("QdrantApiKeySecretArn", keys.read),
        ("QdrantWriteKeySecretArn", keys.write),
    ):
        stage.client("secretsmanager").put_secret_value(SecretId=found[output], SecretString=value)


def is_untouched(described: dict[str, Any]) -> bool:
    """Whether a secret has the version of its creation only; the value itself is never read.

    Args:
        described: answer of DescribeSecret.
    """
    return len(described.get("VersionIdsToStages") or {}) < 2


def _known_keys(document: str) -> list[dict[str, Any]]:
    try:
        parsed = json.loads(document)
    except ValueError:
        return []
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    return keys if isinstance(keys, list) else []


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
