"""Start of a Lambda process, and its values between calls."""

from __future__ import annotations

import pytest

from services.common.lambda_runtime import once_per_process, start
from services.common.settings import ConfigurationError, StackListSettings


def test_a_value_is_built_at_its_first_use_and_kept() -> None:
    built: list[object] = []

    @once_per_process
    def value() -> object:
        built.append(object())
        return built[-1]

    assert built == []
    assert value() is value()
    assert len(built) == 1


def test_a_build_that_failed_is_tried_again_by_the_next_call() -> None:
    outcomes = [ConfigurationError("no"), None]

    @once_per_process
    def value() -> str:
        if problem := outcomes.pop(0):
            raise problem
        return "built"

    with pytest.raises(ConfigurationError):
        value()
    assert (value(), value()) == ("built", "built")


def test_a_start_reads_the_environment_and_lists_stacks_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACK_NAMES", " twin-b, twin-a ,,")
    assert start(StackListSettings).stacks == ["twin-b", "twin-a"]
    monkeypatch.delenv("STACK_NAMES")
    assert start(StackListSettings).stacks == []
