"""A stage: its AWS account and region, credentials, and stack names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

from infra.names import STACKS, stage_prefix
from infra.settings.deployment import SettingsError, load_settings
from localcloud import lifecycle
from localcloud.credentials import read_credentials
from localcloud.state import State
from twin.target.clock import Clock, clock_of
from twin.target.errors import TwinError
from twin.target.paths import STATE_ROOT

LOCAL_REGION = "us-east-1"
ENDPOINT = "AWS_ENDPOINT_URL"
STAGE_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True)
class Stage:
    """One deployment target.

    Attributes:
        name: `local`, or the stage's name on AWS (`dev`, `prod`, `pr-12`).
        environment: what the AWS SDKs and the CDK command line get in addition to the process environment.
        local: the running local cloud, or None on AWS.
    """

    name: str
    region: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    local: State | None = None
    _clients: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def is_local(self) -> bool:
        return self.name == "local"

    @property
    def prefix(self) -> str:
        """Prefix of the name of everything that belongs to this stage."""
        return stage_prefix(self.name)

    def stack(self, name: str) -> str:
        """Full name of one of `STACKS` or `OPTIONAL_STACKS`."""
        return f"{self.prefix}-{name}"

    @property
    def stacks(self) -> tuple[str, ...]:
        return tuple(self.stack(name) for name in STACKS)

    @cached_property
    def clock(self) -> Clock:
        """The clock to wait by for what AWS does in this stage."""
        return clock_of(self.environment.get(ENDPOINT) or os.environ.get(ENDPOINT))

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client of this stage; without options always the same one, since building it takes time."""
        if config:
            return self._new_client(service, **config)
        if service not in self._clients:
            self._clients[service] = self._new_client(service)
        return self._clients[service]

    def secret(self, arn: str) -> str:
        """Text of a secret, without the white space that pasting leaves around a key.

        Raises:
            botocore.exceptions.ClientError: there is none, or it may not be read.
        """
        return str(self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]).strip()

    def _new_client(self, service: str, **config: Any) -> Any:
        settings = {"retries": {"max_attempts": 4, "mode": "standard"}, **config}
        if self.local is None:
            return boto3.client(service, region_name=self.region, config=Config(**settings))
        # As in the SDKs: the address of one service comes before that of all services.
        own = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.environment.get(own, self.environment["AWS_ENDPOINT_URL"]),
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(**settings),
        )


def address(state: State, process: str) -> str:
    """Base URL of one of the local cloud's own processes."""
    return f"http://127.0.0.1:{state.ports[process]}"


def local_stage(state: State) -> Stage:
    """The stage `local` over a running local cloud.

    Raises:
        LocalCloudError: its credentials file is missing or damaged.
    """
    environment = {
        "AWS_ENDPOINT_URL": address(state, "aws"),
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address(state, "sagemaker_runtime"),
        "AWS_REGION": LOCAL_REGION,
        "AWS_DEFAULT_REGION": LOCAL_REGION,
        **read_credentials(STATE_ROOT).variables(),
    }
    return Stage(name="local", region=LOCAL_REGION, environment=environment, local=state)


def connect(name: str) -> Stage:
    """The stage called `name`; for `local`, only when the local cloud runs.

    Raises:
        TwinError: for a name that is none, or when the local cloud is down.
    """
    if not STAGE_NAME.fullmatch(name):
        raise TwinError(f"STAGE={name!r} is not a stage name: use local, dev, prod, or lower-case letters and digits.")
    if name == "local":
        state = lifecycle.status(STATE_ROOT)
        if state is None:
            raise TwinError("The local cloud is not running: start it with `make local-start`.")
        return local_stage(state)
    region = _region(name)
    return Stage(name=name, region=region, environment={"AWS_REGION": region})


def named_region() -> str | None:
    """The region that the environment names; for every command but the CDK it comes before that of the settings."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _region(name: str) -> str:
    """The region of a stage: from the environment, else from its settings, else from the AWS profile.

    Raises:
        TwinError: none of them names one.
    """
    if named := named_region():
        return named
    try:
        return load_settings(name).region
    except SettingsError as error:
        if found := boto3.Session().region_name:
            return str(found)
        raise TwinError(f"No AWS region is known for stage {name}. {error}") from None
