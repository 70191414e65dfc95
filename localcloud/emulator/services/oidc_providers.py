"""IAM operations on OpenID Connect providers that MiniStack lacks: changing one in place, and its tags.

MiniStack 1.5.33 has Create, Get, List and Delete of the ten operations; the other six are added to its private handler
table. AWS has them all
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateOpenIDConnectProviderThumbprint.html and its neighbours).
An operation can go when MiniStack's `_IAM_HANDLERS` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import iam

Request = dict[str, Any]


def install() -> None:
    """Add the operations to MiniStack's IAM. Call it once, before the emulator serves."""
    for name, operation in (
        ("AddClientIDToOpenIDConnectProvider", _add_client),
        ("RemoveClientIDFromOpenIDConnectProvider", _remove_client),
        ("UpdateOpenIDConnectProviderThumbprint", _set_thumbprints),
        ("TagOpenIDConnectProvider", _tag),
        ("UntagOpenIDConnectProvider", _untag),
        ("ListOpenIDConnectProviderTags", _list_tags),
    ):
        iam._IAM_HANDLERS[name] = _handler(name, operation)


def _handler(name: str, operation: Callable[[dict[str, Any], Request], str]) -> Callable[[Request], Any]:
    def handle(request: Request) -> Any:
        """MiniStack's response to the operation: 200 with the result as XML, or 404 NoSuchEntity."""
        arn = iam._p(request, "OpenIDConnectProviderArn")
        provider = iam._oidc_providers.get(arn)
        if provider is None:
            return iam._error(404, "NoSuchEntity", f"OpenIDConnect Provider not found for arn {arn}", ns="iam")
        result = operation(provider, request)
        return iam._xml(200, f"{name}Response", f"<{name}Result>{result}</{name}Result>" if result else "", ns="iam")

    return handle


def _members(request: Request, name: str) -> list[str]:
    found: list[str] = []
    while value := iam._p(request, f"{name}.member.{len(found) + 1}"):
        found.append(value)
    return found


def _add_client(provider: dict[str, Any], request: Request) -> str:
    client = iam._p(request, "ClientID")
    if client not in provider["ClientIDList"]:
        provider["ClientIDList"].append(client)
    return ""


def _remove_client(provider: dict[str, Any], request: Request) -> str:
    gone = iam._p(request, "ClientID")
    provider["ClientIDList"] = [client for client in provider["ClientIDList"] if client != gone]
    return ""


def _set_thumbprints(provider: dict[str, Any], request: Request) -> str:
    provider["ThumbprintList"] = _members(request, "ThumbprintList")
    return ""


def _tag(provider: dict[str, Any], request: Request) -> str:
    new = iam._extract_tags(request)
    keys = {tag["Key"] for tag in new}
    provider["Tags"] = [tag for tag in provider.get("Tags", ()) if tag["Key"] not in keys] + new
    return ""


def _untag(provider: dict[str, Any], request: Request) -> str:
    gone = _members(request, "TagKeys")
    provider["Tags"] = [tag for tag in provider.get("Tags", ()) if tag["Key"] not in gone]
    return ""


def _list_tags(provider: dict[str, Any], _: Request) -> str:
    members = "".join(
        f"<member><Key>{escape(tag['Key'])}</Key><Value>{escape(tag['Value'])}</Value></member>"
        for tag in provider.get("Tags", ())
    )
    return f"<Tags>{members}</Tags><IsTruncated>false</IsTruncated>"
