"""Sessions of roles end on the local cloud's clock, and what they sign later is refused as AWS refuses it.

MiniStack 1.5.33 gives a session its DurationSeconds in real time, forgets a session that has ended as soon as another
one begins, so that its key is unknown instead of expired, and takes any DurationSeconds. On AWS the error of an ended
session is ExpiredToken or ExpiredTokenException by the service's protocol (RequestExpired for EC2), and DurationSeconds
above the role's MaxSessionDuration, or above an hour for a role that a role assumes, are refused:
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and, for the words,
https://github.com/coinbase/assume-role/issues/24 and https://github.com/kreuzwerker/awsu/issues/27.
The patch can go when MiniStack checks both and its clock can be set.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack.services import iam, sts

from localcloud.aws_time import SESSION, factor

ASSUME, ASSUME_BY_TOKEN = "AssumeRole", "AssumeRoleWithWebIdentity"
KEPT_SECONDS = 3600.0
"""Real time for which a session that has ended is known as ended."""
CHAINED = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
TOO_LONG = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."


def install() -> None:
    """Apply the patch. Call it once, before the emulator serves."""
    register, future, handle = sts.register_session, sts._future, sts.handle_request

    def register_session(access_key: str, session: dict[str, Any]) -> None:
        """Keep the session, which ends `factor` times sooner than was asked for."""
        now = time.time()
        if isinstance(session.get("Expiration"), int | float):
            session["Expiration"] = now + (session["Expiration"] - now) / factor()
        register(access_key, session)

    async def handle_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        """MiniStack's entry point of STS; a session that AWS would not give is refused."""
        form = parse_qs(body.decode(errors="replace")) if body else dict(query)
        refusal = _refusal(form, headers)
        if refusal:
            return sts._error(400, "ValidationError", refusal, ns="sts")
        return await handle(method, path, headers, body, query)

    sts.register_session = register_session
    sts._future = lambda seconds: future(seconds / factor())
    sts._evict_expired_sessions = _forget_old_sessions
    sts.handle_request = handle_request


def _refusal(form: Mapping[str, list[str]], headers: Mapping[str, str]) -> str:
    """Why AWS does not give the session, or nothing."""
    action, asked = form.get("Action", [""])[0], form.get("DurationSeconds", [""])[0]
    if action not in (ASSUME, ASSUME_BY_TOKEN) or not asked.isdecimal():
        return ""
    caller = sts.extract_access_key_id(headers, {}) if action == ASSUME else ""
    if caller in sts._sessions and int(asked) > SESSION.seconds:
        return CHAINED
    role = iam._roles.get(form.get("RoleArn", [""])[0].rpartition("/")[2]) or {}
    return TOO_LONG if int(asked) > int(role.get("MaxSessionDuration") or SESSION.seconds) and role else ""


def _forget_old_sessions() -> None:
    now = time.time()
    for key, session in list(sts._sessions.items()):
        if isinstance(session.get("Expiration"), int | float) and now > session["Expiration"] + KEPT_SECONDS:
            sts._sessions.pop(key, None)
