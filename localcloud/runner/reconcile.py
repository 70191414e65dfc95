"""The runner: reconciles ECS services, SageMaker endpoints and Lambda functions with what the emulator describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.attempts import Attempts
from localcloud.credentials import read_credentials
from localcloud.ports import LOOPBACK
from localcloud.runner.aws import Aws
from localcloud.runner.ecs import EcsRunner
from localcloud.runner.functions import FunctionChecks
from localcloud.runner.sagemaker import SageMakerRunner
from localcloud.sagemaker_runtime.routing import RoutingTable
from localcloud.state import ProcessState


class Runner:
    """The three runners of declared resources, called one after the other."""

    def __init__(self, root: Path, ports: Mapping[str, int], table: RoutingTable) -> None:
        url, runtime_url = (f"http://{LOOPBACK}:{ports[name]}" for name in ("aws", "sagemaker_runtime"))
        aws = Aws(url, runtime_url, read_credentials(root))
        self._ecs = EcsRunner(aws, root)
        self._sagemaker = SageMakerRunner(aws, root, table)
        self._functions = FunctionChecks(aws)
        self._attempts = Attempts(BotoCoreError, ClientError, httpx.HTTPError)

    def tick(self) -> None:
        """Reconcile once.

        An error of one runner is logged and does not reach the caller: a resource that a stack creates or deletes
        meanwhile is read again at the next tick.
        """
        for part in (self._sagemaker, self._ecs, self._functions):
            self._attempts.make(type(part).__name__, part.tick)

    def stop(self) -> None:
        """Stop every process."""
        self._ecs.stop()
        self._sagemaker.stop()

    def states(self) -> list[ProcessState]:
        """State of every process, and of every declared resource that failed."""
        return [*self._sagemaker.states(), *self._ecs.states(), *self._functions.states()]
