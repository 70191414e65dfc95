"""The catalogue of what AWS refuses: complete, in force, and written down."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest

from localcloud.emulator.rules import enforcement, quotas
from localcloud.emulator.rules.behaviours import BEHAVIOURS, Behaviour
from localcloud.emulator.rules.catalogue import CHECKS, RULES
from localcloud.emulator.rules.enforcement import Rules, rules_in_force
from localcloud.emulator.rules.rule import ANY_TYPE, Certainty, Change, Refusal, Rule
from scripts.aws_rules_docs import TARGET, render

TESTS = Path(__file__).parents[2] / "integration" / "emulator" / "rules"
BY_NAME = {rule.name: rule for rule in RULES}


def test_the_committed_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "run `make docs`"


def test_every_rule_has_a_check_and_every_check_a_rule() -> None:
    """But those that MiniStack keeps by itself."""
    assert {rule.name for rule in RULES if rule.applies is not None} == set(CHECKS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_it_looks_at_and_who_says_so(rule: Rule) -> None:
    assert rule.calls or rule.types
    assert all(call.count(":") == 1 for call in rule.calls)
    assert rule.types == (ANY_TYPE,) or all(name.startswith("AWS::") for name in rule.types)
    assert rule.certainty in get_args(Certainty)
    assert rule.source and rule.refused and not rule.refused.endswith(".")
    assert "|" not in rule.source


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_rule_is_seen_to_refuse(name: str) -> None:
    assert any(f'"{name}"' in path.read_text() for path in TESTS.glob("test_*.py")), f"no test in {TESTS} names {name}"


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_a_behaviour_has_a_source_and_a_test(behaviour: Behaviour) -> None:
    assert behaviour.source and behaviour.certainty in get_args(Certainty)
    assert (TESTS.parent / behaviour.test).is_file()


def test_rules_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rules_in_force() == list(RULES)
    monkeypatch.setenv(enforcement.VARIABLE, "-log-group-exists")
    assert {rule.name for rule in RULES} - {rule.name for rule in rules_in_force()} == {"log-group-exists"}
    monkeypatch.setenv(enforcement.VARIABLE, "off")
    assert rules_in_force() == []
    monkeypatch.setenv(enforcement.VARIABLE, "-stack-protected")
    with pytest.raises(
        ValueError, match="LOCALCLOUD_AWS_RULES names rules that MiniStack keeps by itself: stack-protected"
    ):
        rules_in_force()
    monkeypatch.setenv(enforcement.VARIABLE, "-no-such-rule")
    with pytest.raises(ValueError, match="LOCALCLOUD_AWS_RULES names rules that do not exist: no-such-rule"):
        rules_in_force()


def test_a_quota_that_is_no_number_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(quotas.ENDPOINT_INSTANCES_VARIABLE, "many")
    with pytest.raises(ValueError, match="LOCALCLOUD_ENDPOINT_INSTANCES must be a number of instances, not 'many'"):
        rules_in_force()


def test_an_update_that_changes_nothing_is_not_refused() -> None:
    def always(_: Any) -> dict[str, object]:
        return {}

    rule = Rule(**{**vars(BY_NAME["log-group-exists"]), "applies": always, "message": "no"})
    rules, same = Rules([rule]), MappingProxyType({"a": 1})
    rules.check(Change("update", "AWS::Logs::LogGroup", "s", "L", "p", same, same))
    with pytest.raises(Refusal, match=r"^no$"):
        rules.check(Change("update", "AWS::Logs::LogGroup", "s", "L", "p", same, {"a": 2}))
