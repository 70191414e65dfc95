"""Calls the emulator's own API from a resource type, with CloudFormation's strings turned into the modelled types."""

from __future__ import annotations

import json
import threading
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core.responses import get_region

ABSENT = ("NotFound", "NoSuchEntity", "Could not find", "ObjectNotFoundException", "does not exist")
"""What AWS services answer when a resource is already gone."""


class Loopback:
    """A botocore client per service and region, made once; used by worker threads."""

    def __init__(self, port: int) -> None:
        self._endpoint = f"http://127.0.0.1:{port}"
        self._session = botocore.session.get_session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Call an operation with those of `parameters` that it knows."""
        client = self._client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        known = {key: value for key, value in parameters.items() if key in shape.members and value is not None}
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**coerce(shape, known))
        return answer

    def forget(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Call a delete operation; a resource that is gone already is as good as deleted."""
        try:
            self.call(service, operation, parameters)
        except ClientError as error:
            if not any(word in str(error) for word in ABSENT):
                raise

    def _client(self, service: str) -> Any:
        key = (service, get_region())
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.create_client(
                    service,
                    region_name=key[1],
                    endpoint_url=self._endpoint,
                    aws_access_key_id="test",
                    aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
                    config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
                )
            return self._clients[key]


def coerce(shape: Any, value: Any) -> Any:
    """`value` with templates' strings made what botocore's `shape` says."""
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
