"""The runner's view of the emulator."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"


class Aws:
    """boto3 clients of the emulator, made once."""

    def __init__(self, url: str, runtime_url: str) -> None:
        self.url = url
        self._runtime_url = runtime_url
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
                config=Config(retries={"total_max_attempts": 2}, connect_timeout=2, read_timeout=10),
            )
        return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> list[Any]:
        """All items of a paginated list."""
        client = self.client(service)
        if client.can_paginate(operation):
            return [
                item for page in client.get_paginator(operation).paginate(**arguments) for item in page.get(key, ())
            ]
        return list(getattr(client, operation)(**arguments).get(key, ()))

    def platform_variables(self) -> dict[str, str]:
        """What AWS's agents give every container, and where this AWS is."""
        return {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self._runtime_url,
            "BIND_HOST": "127.0.0.1",
        }
