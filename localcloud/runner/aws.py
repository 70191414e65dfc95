"""AWS clients of the emulator, for the runner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as SignerCredentials

from localcloud.account import REGION, Credentials
from localcloud.ports import LOOPBACK


class Aws:
    """boto3 clients of the emulator, one per service, created on first use.

    Args:
        url: address of the emulator.
        runtime_url: address of the SageMaker runtime, which is a process of its own.
        credentials: the key of the local cloud.
    """

    def __init__(self, url: str, runtime_url: str, credentials: Credentials) -> None:
        self.url = url
        self._credentials = credentials
        self._runtime_url = runtime_url
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service (boto3's name)."""
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 2}, connect_timeout=2, read_timeout=10)
            arguments: Any = self._credentials.client_arguments()
            self._clients[service] = boto3.client(service, endpoint_url=self.url, config=config, **arguments)
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

    def post(self, service: str, target: str, body: Mapping[str, Any]) -> httpx.Response:
        """The answer to a signed call of an operation that no SDK knows.

        Args:
            service: name of the service in the signature; the emulator takes the region of its state from there, too.
            target: value of `X-Amz-Target`.
            body: the request, sent as JSON.

        Raises:
            httpx.HTTPError: the emulator does not answer within five seconds.
        """
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        request = AWSRequest("POST", self.url, headers, json.dumps(body))
        keys = SignerCredentials(self._credentials.access_key_id, self._credentials.secret_access_key)
        SigV4Auth(keys, service, REGION).add_auth(request)
        signed = dict(request.headers.items())
        return httpx.post(self.url, content=request.data, headers=signed, timeout=5, trust_env=False)

    def platform_variables(self) -> dict[str, str]:
        """Environment of every container: what AWS's agents set, and the addresses of this AWS."""
        return {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **self._credentials.variables(),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self._runtime_url,
            "BIND_HOST": LOOPBACK,
        }
