"""Statistics of samples."""

from __future__ import annotations

import pytest

from benchmarks.gateway import DIRECT, SERVICE, Runs, added_latency, sustained_users
from benchmarks.measure import Goal, Spread, percentile


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.01) == 7
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_one_disturbed_round_does_not_decide() -> None:
    rounds = [Spread(1, 2, 3), Spread(1.2, 2.2, 3.2), Spread(90, 900, 9000)]
    assert Spread.median_of(rounds) == Spread(1.2, 2.2, 3.2)


def test_what_is_added_is_paired_round_by_round() -> None:
    # The machine was slow for both in the second round: that is not the service's doing.
    direct = [Spread(10, 11, 12), Spread(50, 51, 52), Spread(10, 11, 12)]
    service = [Spread(12, 14, 16), Spread(52, 54, 56), Spread(12, 14, 16)]
    runs = {DIRECT: Runs(total=direct), SERVICE: Runs(total=service)}
    assert added_latency(runs, SERVICE) == Spread(2, 3, 4)


def test_the_sustained_load_is_the_highest_that_comes_through() -> None:
    rates = {1: (1.0, 1.0), 16: (15.0, 14.8), 64: (60.0, 41.0)}
    found = {
        users: {DIRECT: Runs(rate=[direct]), SERVICE: Runs(rate=[service])}
        for users, (direct, service) in rates.items()
    }
    assert sustained_users(found) == 16


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("a", 2.0, 2.0), True),
        (Goal("a", 2.01, 2.0), False),
        (Goal("a", 3.1, 3, "at least"), True),
        (Goal("a", 2.9, 3, "at least"), False),
    ],
)
def test_a_goal_says_whether_it_is_reached(goal: Goal, met: bool) -> None:
    assert goal.met is met
    assert goal.as_row()[-1] == ("reached" if met else "missed")


def test_answers_per_core_follow_from_processor_time() -> None:
    assert Runs(cpu_ms=[8.0, 10.0, 90.0]).per_core() == 100
