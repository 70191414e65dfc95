"""The model hub's HTTP interface, as far as the preflight asks it: a model's card and its configuration.

The base address is HF_ENDPOINT, as in the hub's own client; a mirror may stand there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

PUBLIC_HUB = "https://huggingface.co"
SECONDS = 15.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Kind = Literal["missing", "revision", "gated", "refused", "other"]
KINDS: dict[str, Kind] = {"RepoNotFound": "missing", "RevisionNotFound": "revision", "GatedRepo": "gated"}
"""The hub says what is wrong in the header X-Error-Code; a status alone would not tell a gated model from none."""


class HubError(RuntimeError):
    """The hub does not give what was asked for.

    Attributes:
        kind: `missing` (no such model, or a private one), `revision`, `gated`, `refused` (the token is wrong, or may
            not) or `other`.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Card:
    """What the hub tells everybody about a model.

    Attributes:
        gated: whether files are handed out only to those whom the owner accepted.
        parameters: number of parameters by number format (`BF16`, `I32`, ...); empty when the hub has not counted them.
    """

    gated: bool
    disabled: bool
    parameters: Mapping[str, int]


def hub_address() -> str:
    """Base address of the hub, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")


class Hub:
    """Reads from the hub with or without a token."""

    def __init__(self, token: str | None = None, address: str | None = None) -> None:
        """
        Raises:
            HubError: when a token would travel over plain http to another machine.
        """
        self.address = address or hub_address()
        parts = urlsplit(self.address)
        if token and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise HubError("other", f"HF_ENDPOINT is {self.address}: a token is sent over https only")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def card(self, model: str, revision: str) -> Card:
        """Facts about a model at a revision.

        Raises:
            HubError: when there is no such model or revision.
            httpx.HTTPError: when the hub cannot be reached.
        """
        body = self._get(f"/api/models/{model}/revision/{revision}")
        counted = (body.get("safetensors") or {}).get("parameters") or {}
        return Card(bool(body.get("gated")), bool(body.get("disabled")), counted)

    def config(self, model: str, revision: str) -> dict[str, Any]:
        """The model's `config.json`, which a gated model hands out to accepted tokens only.

        Raises:
            HubError: when the model or file is missing, or the token may not read it.
            httpx.HTTPError: when the hub cannot be reached.
        """
        return self._get(f"/{model}/resolve/{revision}/config.json")

    def _get(self, path: str) -> dict[str, Any]:
        # A redirect to another host loses the Authorization header: the token stays with the hub.
        with httpx.Client(timeout=SECONDS, follow_redirects=True, headers=self._headers) as client:
            response = client.get(f"{self.address}{path}")
        if response.is_success:
            return _parsed(response)
        code = response.headers.get("X-Error-Code", "")
        said = response.headers.get("X-Error-Message") or response.reason_phrase
        message = f"{response.status_code} {said}"
        if response.status_code in (401, 403):
            raise HubError(KINDS.get(code, "refused"), message)
        raise HubError(KINDS.get(code, "missing" if response.status_code == 404 else "other"), message)


def _parsed(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise HubError("other", f"{response.url} answered with no JSON object: is a proxy in the way?")
    return body
