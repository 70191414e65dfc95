"""When `twin deploy` asks, when it refuses to bootstrap, and when it goes on without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.settings.deployment import load_settings
from twin.app import app
from twin.deploy import deploy as deploying
from twin.deploy import plan as planning
from twin.deploy import run as running
from twin.deploy.deploy import Deployed
from twin.deploy.plan import STEPS, Plan
from twin.target.errors import TwinError
from twin.target.stage import Stage

QUESTION = "Go on?"


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[Plan]]]:
    """Runs the command over an account in a state, with or without a person; returns what came of it."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(deploying, "refuse_examples", lambda _: None)
    monkeypatch.setattr(planning, "price", lambda *_: ["the price"])
    ran: list[Plan] = []

    def take(stage: Stage, plan: Plan, *_: object) -> Deployed:
        ran.append(plan)
        return Deployed(stage, {})

    monkeypatch.setattr(running, "run", take)

    def invoke(*options: str, new: bool, bootstrapped: bool, terminal: bool, ci: str = "", answer: str = "") -> Any:
        monkeypatch.setenv("CI", ci)
        steps = STEPS if not bootstrapped else STEPS[1:]
        plan = Plan(load_settings("dev"), "abc", "123456789012", steps, new, "Documents.")
        monkeypatch.setattr(planning, "look", lambda *_: plan)
        if terminal:
            monkeypatch.setattr(planning, "has_person", lambda: not planning.in_ci())
        return CliRunner().invoke(app, ["deploy", "--stage", "dev", *options], input=answer), ran

    return invoke


@pytest.mark.parametrize(
    ("options", "state", "asks", "runs"),
    [
        ((), {"new": True, "bootstrapped": False, "terminal": True, "answer": "y\n"}, True, True),
        ((), {"new": True, "bootstrapped": False, "terminal": True, "answer": "n\n"}, True, False),
        ((), {"new": True, "bootstrapped": False, "terminal": True, "answer": "\n"}, True, False),
        (("--yes",), {"new": True, "bootstrapped": False, "terminal": True}, False, True),
        (("--yes",), {"new": True, "bootstrapped": False, "terminal": False}, False, True),
        ((), {"new": True, "bootstrapped": False, "terminal": False}, False, False),
        ((), {"new": True, "bootstrapped": False, "terminal": True, "ci": "true"}, False, False),
        (("--yes",), {"new": True, "bootstrapped": False, "terminal": True, "ci": "1"}, False, False),
        ((), {"new": True, "bootstrapped": True, "terminal": True, "answer": "y\n"}, True, True),
        ((), {"new": True, "bootstrapped": True, "terminal": False}, False, True),
        ((), {"new": True, "bootstrapped": True, "terminal": True, "ci": "true"}, False, True),
        # An update is no news.
        ((), {"new": False, "bootstrapped": True, "terminal": True}, False, True),
    ],
)
def test_one_question_where_something_is_made_for_the_first_time(
    deploy: Callable[..., Any], options: tuple[str, ...], state: dict[str, Any], asks: bool, runs: bool
) -> None:
    result, ran = deploy(*options, **state)
    assert (QUESTION in result.output) == asks, result.output
    assert bool(ran) == runs
    # Price and account are said before anything is asked or made, and to nobody who is refused.
    assert ("the price" in result.output and "123456789012" in result.output) == (state["new"] and (asks or runs))
    if not runs:
        assert isinstance(result.exception, TwinError)
        expected = "Nothing was made." if asks else "run `twin account bootstrap --stage dev` once"
        assert expected in str(result.exception)


def test_every_failed_step_says_which_it_was_and_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise TwinError("The reason.")

    monkeypatch.setenv("TWIN_RELEASE", "before")
    monkeypatch.setattr(running, "bootstrap_account", lambda _: "done")
    monkeypatch.setattr(running, "ensure_image", fail)
    plan = Plan(load_settings("dev"), "abc", "123456789012", STEPS, True, "Documents.")
    said: list[str] = []
    with pytest.raises(TwinError, match=r"The reason\.\nStep 2 of 6 \(image\) failed\. .* The same command goes on"):
        running.run(Stage("dev", "us-east-1"), plan, said.append, lambda: None)
    assert said[0].startswith("Step 1 of 6: ")
