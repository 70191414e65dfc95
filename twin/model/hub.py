"""Client of the model hub: a model's card, its list of files, and the files.

The base address is HF_ENDPOINT, as in the hub's own client; it may name a mirror. Interface:
https://huggingface.co/docs/hub/api; checksums: `BlobLfsInfo` in
https://huggingface.co/docs/huggingface_hub/package_reference/hf_api.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx

from infra.settings.base import LOOPBACK
from services.common.tls import authorities

PUBLIC_HUB = "https://huggingface.co"
SECONDS = 15.0
READ_SECONDS = 60.0
"""Seconds without a byte after which a download counts as broken."""

_COMMIT = re.compile(r"[0-9a-f]{40}")

Kind = Literal["missing", "revision", "gated", "refused", "other"]
KINDS: dict[str, Kind] = {"RepoNotFound": "missing", "RevisionNotFound": "revision", "GatedRepo": "gated"}
"""The hub says what is wrong in the header X-Error-Code; by the status alone a gated model looks like a missing one."""


class HubError(RuntimeError):
    """The hub refused a request.

    Attributes:
        kind: `missing` (no such model, or a private one), `revision`, `gated`, `refused` (the token is wrong, or may
            not) or `other`.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Card:
    """Public facts about a model.

    Attributes:
        gated: whether files are handed out only to those whom the owner accepted.
        parameters: number of parameters by number format (`BF16`, `I32`, ...); empty when the hub has not counted them.
    """

    gated: bool
    disabled: bool
    parameters: Mapping[str, int]


@dataclass(frozen=True)
class HubFile:
    """One file of a model at a revision.

    Attributes:
        path: its path in the repository.
        size: bytes.
        digest: `sha256:<hex>` of the content where the hub keeps it as a large file, else `git-sha1:<hex>`, the name
            that git gives it: SHA-1 of `blob <size>`, a zero byte and the content.
    """

    path: str
    size: int
    digest: str


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

    def newest_commit(self, model: str) -> str:
        """The commit that a model's main branch is at.

        Raises:
            HubError: when there is no such model, or the hub does not say its commit.
            httpx.HTTPError: when the hub cannot be reached.
        """
        found = self._get(f"/api/models/{model}/revision/main").get("sha")
        if not isinstance(found, str) or not _COMMIT.fullmatch(found):
            raise HubError("other", f"the hub does not say which commit {model} is at")
        return found

    def files(self, model: str, revision: str) -> tuple[HubFile, ...]:
        """Every file of a model at a revision, by path.

        Raises:
            HubError: when there is no such model or revision, or the list says of a file neither size nor checksum.
            httpx.HTTPError: when the hub cannot be reached.
        """
        body = self._get(f"/api/models/{model}/revision/{revision}?blobs=true")
        return tuple(sorted((_file(entry) for entry in body.get("siblings") or ()), key=lambda file: file.path))

    @contextmanager
    def opened(self, model: str, revision: str, path: str, first: int = 0) -> Iterator[httpx.Response]:
        """The unread content of a file from byte `first` on; with status 200 it begins at byte 0 all the same.

        Raises:
            HubError: when the file is missing or the token may not read it.
            httpx.HTTPError: when the hub cannot be reached.
        """
        # Compressed on the way, bytes could be neither counted nor continued.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={first}-"} if first else {})}
        timeout = httpx.Timeout(SECONDS, read=READ_SECONDS)
        with (
            self._client(timeout) as client,
            client.stream("GET", f"{self.address}/{model}/resolve/{revision}/{quote(path)}", headers=headers) as answer,
        ):
            if not answer.is_success:
                raise _refusal(answer)
            yield answer

    def _client(self, timeout: httpx.Timeout) -> httpx.Client:
        # A redirect to another host loses the Authorization header: the token stays with the hub.
        return httpx.Client(timeout=timeout, follow_redirects=True, headers=self._headers, verify=authorities())

    def _get(self, path: str) -> dict[str, Any]:
        with self._client(httpx.Timeout(SECONDS)) as client:
            response = client.get(f"{self.address}{path}")
        if response.is_success:
            return _parsed(response)
        raise _refusal(response)


def _refusal(response: httpx.Response) -> HubError:
    code = response.headers.get("X-Error-Code", "")
    said = response.headers.get("X-Error-Message") or response.reason_phrase
    message = f"{response.status_code} {said}"
    if response.status_code in (401, 403):
        return HubError(KINDS.get(code, "refused"), message)
    return HubError(KINDS.get(code, "missing" if response.status_code == 404 else "other"), message)


def _file(entry: Mapping[str, Any]) -> HubFile:
    path = str(entry.get("rfilename", ""))
    # The path becomes one on this machine and a key in a bucket: it must not lead out of either.
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise HubError("other", f"the hub lists a file with the path {path!r}")
    large = entry.get("lfs") or {}
    digest = f"sha256:{large['sha256']}" if large.get("sha256") else f"git-sha1:{entry.get('blobId') or ''}"
    size = large.get("size", entry.get("size"))
    if not isinstance(size, int) or digest.endswith(":"):
        raise HubError("other", f"the hub lists {path} without its size or checksum")
    return HubFile(path, size, digest)


def _parsed(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise HubError("other", f"{response.url} answered with no JSON object: is a proxy in the way?")
    return body
