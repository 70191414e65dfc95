"""Time on AWS, made quick: what takes long there takes `LOCALCLOUD_TIME_FACTOR` times less here.

`LOCALCLOUD_TIME_FACTOR=10` makes a wake of 258 s last 26 s, `1` makes it last as long as on AWS. docs/aws-rules.md has
the table of durations.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

from localcloud.errors import LocalCloudError

VARIABLE = "LOCALCLOUD_TIME_FACTOR"
DEFAULT_FACTOR = 50.0
SCALE_IN_VARIABLE = "LOCALCLOUD_SCALE_IN"
VARIABLES = (VARIABLE, SCALE_IN_VARIABLE)
_CACHING = "AWS Machine Learning Blog, Introducing container caching in Amazon SageMaker AI, 2026-06-16"
_SCALE_DOWN = "aws-samples/sagemaker-genai-hosting-examples, 03-features/autoscaling/scale_down_to_zero.ipynb"


@dataclass(frozen=True)
class Duration:
    """How long something takes on AWS.

    Attributes:
        what: for the table.
        seconds: on AWS.
        source: where it was measured or documented.
        seen: when the source was read.
        applied: how the local cloud takes this time.
    """

    what: str
    seconds: float
    source: str
    seen: date
    applied: str

    def here(self) -> float:
        """Seconds that it takes in the local cloud.

        Raises:
            LocalCloudError: the factor is no positive number.
        """
        return self.seconds / factor()


WAKE = Duration(
    "a component without copies answers again (Qwen3-8B, ml.g6.2xlarge, image in the endpoint's cache)",
    258,
    _CACHING,
    date(2026, 11, 29),
    "from the first call that finds no copy to the start of one",
)
QUIET_UNTIL_NO_COPIES = Duration(
    "without calls, target tracking takes the last copy away: 90 data points of 10 s",
    900,
    _SCALE_DOWN,
    date(2026, 11, 29),
    f"with `{SCALE_IN_VARIABLE}=on`, where a scalable target allows no copy",
)
DURATIONS = (WAKE, QUIET_UNTIL_NO_COPIES)


def factor() -> float:
    """How many seconds of AWS pass in one second here.

    Raises:
        LocalCloudError: the variable is no positive number.
    """
    given = os.environ.get(VARIABLE, "") or DEFAULT_FACTOR
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise LocalCloudError(f"{VARIABLE} must be a positive number, not {given!r}: 1 is as slow as AWS.")
    return found


def scales_in() -> bool:
    """Whether copies without calls are taken away."""
    return os.environ.get(SCALE_IN_VARIABLE) == "on"
