"""A function that was taken over can change no other function's entries in the state table."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from services.evaluation.state import State
from tests.state_rights import HANDLERS

FOREIGN = [
    ("collect_samples", "state.put_if_free('lease/evaluation', 'me', 60)"),
    ("collect_samples", "state.read('latest-run')"),
    ("collect_samples", "state.add('judging/2030-01', 1)"),
    ("judge_shard", "state.write('latest-run', {}, 60)"),
    ("judge_shard", "state.free('lease/evaluation', 'me')"),
    ("finish_run", "state.add('judging/2030-01', 1)"),
    ("finish_run", "state.write('shard/data/run/1', {}, 60)"),
    ("evaluate_monitoring", "state.write('told/alarm', True, 60)"),
    ("evaluate_monitoring", "state.add('count/samples', 1)"),
    ("notify", "state.add('count/samples', 1)"),
    ("notify", "state.write('latest-run', {}, 60)"),
    ("notify", "state.read('shard/data/run/1')"),
]
OWN = [
    ("collect_samples", "state.add('count/samples', 1)"),
    ("judge_shard", "state.write('shard/data/run/1', {}, 60)"),
    ("notify", "state.add('hour/1', 1, 60)"),
]


def act(handler: str, code: str, table: str) -> None:
    """Run code as if it were in a handler's module."""
    exec(code, {"__name__": HANDLERS + handler, "state": State(table)})


@pytest.mark.parametrize(("handler", "code"), FOREIGN)
def test_entries_of_other_functions_are_refused(handler: str, code: str, state_table: str) -> None:
    with pytest.raises(ClientError, match=rf"{handler} is not authorized to perform: dynamodb:\w+Item on key"):
        act(handler, code, state_table)


@pytest.mark.parametrize(("handler", "code"), OWN)
def test_a_functions_own_entries_are_permitted(
    handler: str, code: str, state_table: str, state_rights: set[tuple[str, str, str]]
) -> None:
    act(handler, code, state_table)
    assert handler in {caller for caller, _, _ in state_rights}
