"""Addresses and signatures of the SageMaker runtime API, from the process's AWS configuration.

botocore resolves the endpoint, finds and refreshes credentials and signs; only the transport is not part of it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

SIGNING_NAME = "sagemaker"
# botocore begins to refresh 15 minutes before credentials expire. Until this long before, requests go on with the old
# ones while a refresh runs; after, they wait for it.
MANDATORY_REFRESH_SECONDS = 120


class RuntimeApi:
    """Address and credentials for the runtime API in one region; used on one event loop."""

    def __init__(self) -> None:
        """Read the configuration (environment, files, instance or container metadata).

        Raises:
            botocore.exceptions.NoRegionError: no region is configured.
        """
        session = botocore.session.get_session()
        client = session.create_client("sagemaker-runtime")
        self.url = str(client.meta.endpoint_url).rstrip("/")
        self._region = str(client.meta.region_name)
        client.close()
        self.proxy: str | None = get_environ_proxies(self.url).get(self.url.partition(":")[0])
        self.ca_bundle = str(session.get_config_variable("ca_bundle") or get_cert_path(True))
        self._credentials = session.get_credentials()
        self._last: ReadOnlyCredentials | None = None
        self._refresh: asyncio.Future[ReadOnlyCredentials] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aws-credentials")

    async def signed(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers of a POST, with its signature; never blocks the event loop.

        Raises:
            botocore.exceptions.BotoCoreError: there are no credentials, or they cannot be refreshed.
        """
        request = AWSRequest("POST", url, headers, body)
        SigV4Auth(await self._frozen(), SIGNING_NAME, self._region).add_auth(request)
        return dict(request.headers.items())

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _frozen(self) -> ReadOnlyCredentials:
        credentials: Any = self._credentials
        if credentials is None:
            raise NoCredentialsError()
        refresh_needed = getattr(credentials, "refresh_needed", None)  # static credentials have none
        if refresh_needed is None or not refresh_needed():
            self._last = credentials.get_frozen_credentials()
        elif self._last is None or refresh_needed(MANDATORY_REFRESH_SECONDS):
            # Shielded: a cancelled caller must not cancel the refresh of the others.
            self._last = await asyncio.shield(self._refreshing())
        else:
            self._refreshing()
        return self._last

    def _refreshing(self) -> asyncio.Future[ReadOnlyCredentials]:
        """The refresh that runs now; every caller shares it."""
        if self._refresh is None or self._refresh.done():
            get = self._credentials.get_frozen_credentials
            self._refresh = asyncio.get_running_loop().run_in_executor(self._thread, get)
            # Its result may never be awaited; botocore has logged why it failed.
            self._refresh.add_done_callback(lambda done: done.cancelled() or done.exception())
        return self._refresh
