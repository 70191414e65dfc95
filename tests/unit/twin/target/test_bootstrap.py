"""`twin account bootstrap`: which account, region and qualifier the CDK is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from twin.target import cdk
from twin.target.bootstrap import bootstrap_account
from twin.target.errors import TwinError
from twin.target.stage import Stage


class Account(Stage):
    def client(self, service: str, **config: Any) -> Any:
        assert service == "sts"
        return SimpleNamespace(get_caller_identity=lambda: {"Account": "111122223333"})


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Arguments of every run of the CDK command line."""
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(cdk, "_run", lambda arguments, *_, **__: seen.append(tuple(arguments)))
    return seen


@pytest.mark.parametrize("qualifier", ["hnb659fds", "other1"])
def test_the_cdk_gets_the_qualifier_of_the_settings(
    ran: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, qualifier: str
) -> None:
    if qualifier != "hnb659fds":
        monkeypatch.setenv("TWIN_DELIVERY__QUALIFIER", qualifier)
    assert bootstrap_account(Account("dev", "eu-west-1")) == "111122223333/eu-west-1"
    assert ran == [("bootstrap", "aws://111122223333/eu-west-1", "--qualifier", qualifier)]


def test_wrong_settings_are_a_sentence(ran: list[tuple[str, ...]]) -> None:
    with pytest.raises(TwinError, match="has no settings"):
        bootstrap_account(Account("nosuch", "eu-west-1"))
    assert ran == []
