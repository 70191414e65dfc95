"""Error codes of rules, by the rules' names."""

from __future__ import annotations

from localcloud.emulator.rules.catalogue import RULES


def code_of(name: str) -> str:
    """AWS's error code of the rule called `name`."""
    (rule,) = [rule for rule in RULES if rule.name == name]
    return rule.code
