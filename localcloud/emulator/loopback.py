"""Client of the emulator's own API for resource types; strings of templates become the types of the service model."""

from __future__ import annotations

import json
import threading
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core.responses import get_region

from localcloud.account import Credentials
from localcloud.ports import LOOPBACK

NOT_FOUND = ("NotFound", "NoSuchEntity", "Could not find", "ObjectNotFoundException", "does not exist")
"""Parts of the errors with which AWS services answer for a resource that does not exist."""


class Loopback:
    """A botocore client per service and region, created on first use. Safe for many threads."""

    def __init__(self, port: int, credentials: Credentials, token: str | None = None) -> None:
        """
        Args:
            port: of the emulator.
            credentials: what it signs with.
            token: of a role's session.
        """
        self._credentials = credentials
        self._token = token
        self._endpoint = f"http://{LOOPBACK}:{port}"
        self._session = botocore.session.get_session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The response of an operation, called with those of `parameters` that its model knows.

        Args:
            service: botocore's name of the service.
            operation: name as in the API reference, e.g. `CreateModel`.
            parameters: CloudFormation properties; None counts as absent.

        Raises:
            ClientError: the API refused the call.
        """
        client = self._client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        known = {key: value for key, value in parameters.items() if key in shape.members and value is not None}
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**coerce(shape, known))
        return answer

    def delete(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Call a delete operation; succeeds when the resource does not exist, so that a deletion can be repeated.

        Raises:
            ClientError: any other error of the API.
        """
        try:
            self.call(service, operation, parameters)
        except ClientError as error:
            if not any(part in str(error) for part in NOT_FOUND):
                raise

    def _client(self, service: str) -> Any:
        key = (service, get_region())
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.create_client(
                    service,
                    endpoint_url=self._endpoint,
                    config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
                    aws_session_token=self._token,
                    **{**self._credentials.client_arguments(), "region_name": key[1]},
                )
            return self._clients[key]


def coerce(shape: Any, value: Any) -> Any:
    """`value` of a template, with scalars converted to the types of botocore's `shape`, at every depth.

    Args:
        shape: botocore's model of the value, or None to leave it as it is.
        value: any JSON value.

    Raises:
        ValueError: a string does not hold the number that the model requires.
    """
    if shape is None or value is None:
        return value
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {key: coerce(shape.members.get(key), item) for key, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerce(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: coerce(shape.value, item) for key, item in value.items()}
    return _scalar(kind, value)


def _scalar(kind: str, value: Any) -> Any:
    if kind in ("integer", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    if kind == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    if kind == "string" and not isinstance(value, str):
        return json.dumps(value) if isinstance(value, dict | list | bool) else str(value)
    return value
