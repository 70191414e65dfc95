"""What IAM decides a call by: action, resources, condition keys and the caller's boundary, as AWS documents them.

MiniStack 1.5.33 evaluates policies, and guesses for many calls what they are decided by. `actions.py` has the names of
actions, `resources.py` the ARNs, `further.py` the second and third right that some calls need, `conditions.py` the keys
of conditions, `trust.py` what the trust in a token is decided by. Sources are the tables of the Service Authorization
Reference, https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html.

The root key of the local cloud may do anything, as an account's root user may; sessions of roles and keys of users may
do what their policies allow.
"""

from __future__ import annotations

from localcloud.emulator.authorization import actions, conditions, further, resources, trust


def install() -> None:
    """Let policies decide calls as on AWS. Call it once, before the emulator serves."""
    actions.install()
    resources.install()
    conditions.install()
    further.install()
    trust.install()
