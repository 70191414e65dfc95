"""AWS clients of the emulator, for the runner."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from localcloud.account import CLIENT_ARGUMENTS, CREDENTIAL_VARIABLES, REGION
from localcloud.ports import LOOPBACK


class Aws:
    """boto3 clients of the emulator, one per service, created on first use.

    Args:
        url: address of the emulator.
        runtime_url: address of the SageMaker runtime, which is a process of its own.
    """

    def __init__(self, url: str, runtime_url: str) -> None:
        self.url = url
        self._runtime_url = runtime_url
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service (boto3's name)."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                config=Config(retries={"total_max_attempts": 2}, connect_timeout=2, read_timeout=10),
                **CLIENT_ARGUMENTS,
            )
        return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """All items of a list operation, page after page.

        Args:
            service: boto3's name of the service.
            operation: method of its client.
            key: response field that holds the items.
            arguments: passed to the operation.

        Raises:
            ClientError: the emulator refused the call.
            BotoCoreError: it does not answer.
        """
        client = self.client(service)
        if client.can_paginate(operation):
            return [
                item for page in client.get_paginator(operation).paginate(**arguments) for item in page.get(key, ())
            ]
        return list(getattr(client, operation)(**arguments).get(key, ()))

    def platform_variables(self) -> dict[str, str]:
        """Environment of every container: what AWS's agents set, and the addresses of this AWS."""
        return {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **CREDENTIAL_VARIABLES,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self._runtime_url,
            "BIND_HOST": LOOPBACK,
        }
