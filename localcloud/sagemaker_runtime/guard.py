"""The runtime behind signatures. It is a process of its own, so that it knows no other key than the root key."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.account import ACCOUNT_ID, Credentials
from localcloud.signatures import Authentication, unknown_key


def guarded(app: ASGIApp, credentials: Credentials) -> ASGIApp:
    """The application for callers that sign with this key; `GET /healthz` stays open.

    Lambda functions have the account id as their access key, with the root key's secret. Keys of users and of roles,
    which only the emulator knows, are refused.
    """

    async def secret_of(access_key_id: str, token: str) -> str:
        """The secret of the root key and of functions; raises `Refused` for any other key."""
        if access_key_id not in (credentials.access_key_id, ACCOUNT_ID) or token:
            raise unknown_key()
        return credentials.secret_access_key

    signed = Authentication(app, secret_of, lambda _, __: "sagemaker-runtime")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the health check, and whatever is signed."""
        is_open = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/healthz"
        await (app if is_open else signed)(scope, receive, send)

    return serve
