"""Reading of secrets, and keys that are read again when they are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.common.renewable_key import RenewableKey
from services.common.secret_values import SecretUnavailableError, read_secret


def client(answer: dict[str, Any] | Exception) -> Any:
    """A client of Secrets Manager that returns or raises `answer`."""

    def get_secret_value(**arguments: str) -> dict[str, Any]:
        assert arguments == {"SecretId": "arn:of:the:secret"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(get_secret_value=get_secret_value)


def test_a_secret_is_read_without_white_space() -> None:
    assert read_secret(client({"SecretString": " value\n"}), "arn:of:the:secret") == "value"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "m"}}, "Get"), "AccessDeniedException"),
        (EndpointConnectionError(endpoint_url="https://x"), "EndpointConnectionError"),
        ({"SecretString": "  "}, "is empty"),
        ({"SecretBinary": b"value"}, "is empty"),
    ],
)
def test_a_secret_that_cannot_be_read_is_one_error_that_names_it(answer: Any, reason: str) -> None:
    with pytest.raises(SecretUnavailableError, match=f"arn:of:the:secret.*{reason}"):
        read_secret(client(answer), "arn:of:the:secret")


@pytest.mark.parametrize(
    ("secret", "sent", "status"), [("new", ["old", "new"], 200), ("old", ["old"], 401), (None, ["old"], 401)]
)
def test_a_refused_key_is_read_again_once(secret: str | None, sent: list[str], status: int) -> None:
    carried: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        carried.append(request.headers["api-key"])
        return httpx.Response(200 if carried[-1] == "new" else 401)

    def read() -> str:
        if secret is None:
            raise SecretUnavailableError("gone")
        return secret

    with httpx.Client(transport=httpx.MockTransport(serve), auth=RenewableKey("api-key", "old", read)) as caller:
        assert caller.get("http://x").status_code == status
    assert carried == sent
