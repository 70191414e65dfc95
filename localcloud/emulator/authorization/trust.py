"""What the trust of a role is decided by when a token of GitHub's is exchanged for a session.

MiniStack 1.5.33 compares `aud`, `sub` and `amr` of a token. STS gives every claim of GitHub's that it lists to the
conditions: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif.
The signature of a token is not verified here: no key of GitHub's is reachable.
"""

from __future__ import annotations

from typing import Any

from ministack.services import sts
from ministack.services.cognito import _decode_id_token_unverified

GITHUB = "token.actions.githubusercontent.com"
CLAIMS = (
    "actor",
    "actor_id",
    "enterprise",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "workflow",
)


def install() -> None:
    """Give a token's claims to the conditions of a trust."""
    known = sts._web_identity_principal

    def principal(token: str, provider_id: str, role_arn: str) -> tuple[str, dict[str, Any]]:
        """The provider that a token names, and the keys of its claims."""
        provider, keys = known(token, provider_id, role_arn)
        if not provider.endswith(f"/{GITHUB}"):
            return provider, keys
        claims = _decode_id_token_unverified(token)
        found = {f"{GITHUB}:{name}".lower(): str(claims[name]) for name in CLAIMS if name in claims}
        return provider, {**found, **keys}

    sts._web_identity_principal = principal
