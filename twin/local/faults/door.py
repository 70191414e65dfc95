"""The way of the drill's callers to the service, with an API key of their own that ends with the drill."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from twin.local.faults.inject import state
from twin.target.errors import TwinError
from twin.target.stage import Stage, address

KEY_NAME = "drill-faults"
REQUESTS_PER_MINUTE = 1_000_000
"""The drill measures faults: the rate limit of a person's key would answer before they do."""


@dataclass(frozen=True)
class Door:
    """Where callers ask.

    Attributes:
        url: of the load balancer, which the emulator plays, or of the task itself.
        headers: for every request.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)

    def client(self, timeout: float) -> httpx.Client:
        """A client of its own for one caller; `timeout` is for each step, in seconds."""
        return httpx.Client(base_url=self.url, headers=dict(self.headers), timeout=timeout, trust_env=False)


@contextmanager
def drill_key(stage: Stage, outputs: Mapping[str, str]) -> Iterator[str]:
    """A key without a limit, in the stage's secret for the length of the block."""
    client, arn = stage.client("secretsmanager"), outputs["ApiKeysSecretArn"]
    key = f"twin-{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    added = {"name": KEY_NAME, "sha256": digest, "requests_per_minute": REQUESTS_PER_MINUTE}

    def others() -> list[object]:
        """The keys of everybody else: they may change while the drill runs."""
        known = json.loads(stage.secret(arn))["keys"]
        return [each for each in known if each.get("name") != KEY_NAME]

    client.put_secret_value(SecretId=arn, SecretString=json.dumps({"keys": [*others(), added]}))
    try:
        yield key
    finally:
        client.put_secret_value(SecretId=arn, SecretString=json.dumps({"keys": others()}))


def door(outputs: Mapping[str, str], key: str, *, balanced: bool) -> Door:
    """Through the load balancer, or straight to a task where the emulator itself is what fails.

    Raises:
        TwinError: no task serves.
    """
    headers = {"Authorization": f"Bearer {key}"}
    found = state()
    if balanced:
        return Door(address(found, "aws"), {**headers, "Host": f"{outputs['LoadBalancerName']}.alb.localhost"})
    ports = [p.port for p in found.processes if p.kind == "ecs" and p.status == "healthy"]
    if not ports:
        raise TwinError("The RAG service has no healthy task: see .local/state.json.")
    return Door(f"http://127.0.0.1:{ports[0]}", headers)
