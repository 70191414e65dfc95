"""ASGI middleware that asks the rules before a call of AWS's API reaches MiniStack."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from ministack.core.iam_actions import access_denied_response, extract_iam_action
from ministack.core.responses import fix_error_content_type, set_request_region
from ministack.core.router import extract_region
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.emulator.rules.enforcement import Rules
from localcloud.emulator.rules.rule import Call, Refusal
from localcloud.signatures import ServiceOf, SignedRequest, read_body, replayed

KEY = re.compile(r"(?:Credential=|^AWS )([^/:,\s]+)")
"""Access key id in an Authorization header of Signature Version 4 or 2."""


class RuleCheck:
    """Lets calls pass that no rule refuses; answers the others with AWS's error."""

    def __init__(self, app: ASGIApp, rules: Rules, service_of: ServiceOf) -> None:
        self._app = app
        self._rules = rules
        self._service_of = service_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, body = SignedRequest.of(scope), await read_body(receive)
        service = self._service_of(request, body)
        # MiniStack keeps what it has by region, and finds a request's region only later.
        set_request_region(extract_region(request.headers, request.query))
        try:
            if called := self._call(service, request, body):
                self._rules.check(called)
        except Refusal as refusal:
            await _refuse(send, service, request, refusal)
            return
        await self._app(scope, replayed(body, receive), send)

    def _call(self, service: str, request: SignedRequest, body: bytes) -> Call | None:
        """The call of a request; None when no rule looks at such calls."""
        action = extract_iam_action(service, request.method, request.path, request.headers, body, request.query)
        operation = (action or "").rpartition(":")[2]
        if not self._rules.looks_at(service, operation):
            return None
        return Call(service, operation, _parameters(request, body), _key(request))


def _parameters(request: SignedRequest, body: bytes) -> Mapping[str, Any]:
    """The fields of a JSON body, or of a form with those of the address; `path` has the parts of the address."""
    path = [unquote(part) for part in request.raw_path.strip("/").split("/")]
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = {}
    if isinstance(found, dict) and found:
        return {**found, "path": path}
    form = {**request.query, **parse_qs(body.decode(errors="replace"), keep_blank_values=True)}
    return {**{name: values[0] for name, values in form.items()}, "path": path}


def _key(request: SignedRequest) -> str:
    found = KEY.search(request.headers.get("authorization", ""))
    return found[1] if found else request.value("X-Amz-Credential").partition("/")[0]


async def _refuse(send: Send, service: str, request: SignedRequest, refusal: Refusal) -> None:
    number = str(uuid.uuid4())
    _, headers, body = access_denied_response(
        service, "", "", number, error_code=refusal.rule.code, message=str(refusal), headers=request.headers
    )
    fix_error_content_type(service, refusal.rule.status, headers)
    headers |= {"x-amzn-requestid": number, "content-length": str(len(body))}
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.rule.status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
