"""Confidence interval of the mean difference between two systems that were measured on the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 20260521
"""Fixed: the same figures give the same interval in every run."""
# Rows of resampled questions at a time: bounds the memory for large files.
_BATCH = 500


@dataclass(frozen=True)
class Difference:
    """Mean difference and its confidence interval; an interval around 0 means that it may be chance."""

    mean: float
    low: float
    high: float


def paired_difference(system: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Mean of system - baseline per question, with the `CONFIDENCE` percentile interval of the paired bootstrap.

    Questions are drawn with replacement `RESAMPLES` times, and a question brings both its figures along. Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), section 13.3; for retrieval: Sakai, Evaluating evaluation
    metrics based on the bootstrap, SIGIR 2006.

    Raises:
        ValueError: the two are not of the same length, or empty.
    """
    differences = np.asarray(system, np.float64) - np.asarray(baseline, np.float64)
    if not differences.size or len(system) != len(baseline):
        raise ValueError("A paired comparison needs the same questions on both sides, and at least one.")
    random = np.random.default_rng(SEED)
    means = np.concatenate(
        [
            differences[random.integers(0, differences.size, (_BATCH, differences.size))].mean(axis=1)
            for _ in range(RESAMPLES // _BATCH)
        ]
    )
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(float(differences.mean()), float(low), float(high))
