"""Context of the checks: the stage, its settings, and the caller's identity."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.names import Names
from infra.settings.deployment import DeploymentSettings
from twin.target.stage import Stage

_creating = threading.Lock()
CONNECT_SECONDS = 5
READ_SECONDS = 15


@dataclass(frozen=True)
class SharedStage(Stage):
    """A stage whose clients may be asked for by several threads; boto3's default session is not made for that."""

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client that gives up after seconds, not minutes; without options always the same one.

        Threads may share a client of botocore's, only not the building of it.
        """
        with _creating:
            return super().client(service, **config)

    def _new_client(self, service: str, **config: Any) -> Any:
        timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        return super()._new_client(service, **{**timeouts, **config})


@dataclass(frozen=True)
class Identity:
    """Owner of the credentials."""

    account: str
    arn: str


@dataclass(frozen=True)
class Context:
    """Inputs of every check.

    Attributes:
        stage: the target; its region is the one that the stacks go to.
        settings: the deployment's settings, or None when they are wrong.
        identity: the caller on AWS, or None without usable credentials.
        model_dir: directory with the model's `config.json` and weights, to be used instead of the hub.
    """

    stage: Stage
    settings: DeploymentSettings | None = None
    identity: Identity | None = None
    model_dir: Path | None = None

    @property
    def known(self) -> DeploymentSettings:
        """The settings, for checks that are only run when there are some."""
        assert self.settings is not None  # noqa: S101 - the runner holds checks with Need.SETTINGS back
        return self.settings

    @property
    def caller(self) -> Identity:
        """The identity, for checks that are only run when there is one."""
        assert self.identity is not None  # noqa: S101 - the runner holds checks with Need.CREDENTIALS back
        return self.identity

    @property
    def names(self) -> Names:
        """The stage's fixed names."""
        return Names.of(self.known)
