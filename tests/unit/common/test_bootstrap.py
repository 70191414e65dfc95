"""How sure a difference between two systems is."""

from __future__ import annotations

import pytest

from services.common.bootstrap import paired_difference


def test_an_interval_shrinks_with_agreement_and_holds_its_mean() -> None:
    always = paired_difference([0.6] * 40, [0.5] * 40)
    assert (always.mean, always.low, always.high) == pytest.approx((0.1, 0.1, 0.1))
    mixed = paired_difference([1.0, 0.0] * 20, [0.0, 1.0] * 20)
    assert mixed.mean == 0
    # The standard error of 40 draws of +-1 is 0.158; 1.96 of them are 0.31.
    assert mixed.low == pytest.approx(-0.31, abs=0.05) and mixed.high == pytest.approx(0.31, abs=0.05)
    assert paired_difference([1.0, 0.0] * 20, [0.0, 1.0] * 20) == mixed


@pytest.mark.parametrize(("system", "baseline"), [([], []), ([1.0], [1.0, 0.0])])
def test_only_pairs_can_be_compared(system: list[float], baseline: list[float]) -> None:
    with pytest.raises(ValueError, match="same questions on both sides"):
        paired_difference(system, baseline)
