"""Time on AWS, made quick: what takes long there takes `LOCALCLOUD_TIME_FACTOR` times less here.

`LOCALCLOUD_TIME_FACTOR=10` makes a wake of 258 s last 26 s, `1` makes it last as long as on AWS. docs/aws-rules.md has
the table of durations, and docs/architecture.md who waits for them by which clock.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

from localcloud.errors import LocalCloudError

VARIABLE = "LOCALCLOUD_TIME_FACTOR"
DEFAULT_FACTOR = 50.0
SCALE_IN_VARIABLE = "LOCALCLOUD_SCALE_IN"
WAKE_VARIABLE = "LOCALCLOUD_WAKE"
STACKS_VARIABLE = "LOCALCLOUD_STACK_TIMES"
VARIABLES = (VARIABLE, SCALE_IN_VARIABLE, WAKE_VARIABLE, STACKS_VARIABLE)
PESSIMISTIC = "pessimistic"
_SEEN = date(2026, 11, 29)
_CACHING = "AWS Machine Learning Blog, Introducing container caching in Amazon SageMaker AI, 2026-06-16"
_SCALE_DOWN = "aws-samples/sagemaker-genai-hosting-examples, 03-features/autoscaling/scale_down_to_zero.ipynb"
_MEASURED = "huggingface/skills, hf-cloud-sagemaker-production-defaults"
_EXPRESS = "AWS DevOps Blog, CloudFormation express mode, 2026-06-30"
_IN_STACKS = f"with `{STACKS_VARIABLE}=on`, in a stack"


@dataclass(frozen=True)
class Duration:
    """How long something takes on AWS.

    Attributes:
        what: for the table.
        seconds: on AWS.
        source: where it was measured or documented.
        applied: how the local cloud takes this time.
        seen: when the source was read.
        taken: whether the local cloud takes it at all.
    """

    what: str
    seconds: float
    source: str
    applied: str
    seen: date = _SEEN
    taken: bool = True

    def here(self) -> float:
        """Seconds that it takes in the local cloud.

        Raises:
            LocalCloudError: the factor is no positive number.
        """
        return self.seconds / factor()


WAKE = Duration(
    "a model without copies answers again (Qwen3-8B, ml.g6.2xlarge), its image in the endpoint's cache",
    258,
    _CACHING,
    "from the first call that finds no copy, or the setting of a copy count, to the start of the container",
)
WAKE_WITHOUT_CACHE = Duration(
    "the same without the cache: on an endpoint that has not run a copy",
    525,
    _CACHING,
    f"as above; a copy that a new component begins with takes it with `{STACKS_VARIABLE}=on`",
)
WAKE_PESSIMISTIC = Duration(
    "the slowest wake that was published (a model of 0.6B)",
    564,
    _MEASURED,
    f"with `{WAKE_VARIABLE}={PESSIMISTIC}`, instead of both; a number there is the wake in seconds of AWS",
)
ALARM = Duration(
    "the alarm that wakes notices a refused call; from then on the component is Updating",
    67,
    _MEASURED,
    "part of the wake",
)
QUIET_UNTIL_NO_COPIES = Duration(
    "without calls, target tracking takes the last copy away: 90 data points of 10 s",
    900,
    _SCALE_DOWN,
    f"with `{SCALE_IN_VARIABLE}=on`, where a scalable target allows no copy",
)
IDLE_UNTIL_NO_INSTANCES = Duration(
    "without copies, managed instance scaling ends the last instance (10 minutes by AWS's notebook, 12 as measured)",
    660,
    f"{_SCALE_DOWN}; {_MEASURED}",
    "instance count of DescribeEndpoint, where the variant may have none",
)
VPC_ORIGIN_CREATED = Duration(
    "a VPC origin is deployed (one was not after 15 minutes)",
    900,
    "https://github.com/terraform-aws-modules/terraform-aws-cloudfront/issues/163",
    _IN_STACKS,
)
VPC_ORIGIN_CHANGED = Duration(
    "a VPC origin is changed or deleted (minutes; the number is a guess)",
    300,
    "https://github.com/ministackorg/ministack/issues/2312",
    _IN_STACKS,
)
DISTRIBUTION_CHANGED = Duration(
    "a distribution is created, changed or, before its deletion, disabled (5 to 10 minutes)",
    300,
    f"AWS Networking Blog, Slashing CloudFront change propagation times in 2020 (read as quoted elsewhere); {_EXPRESS}",
    _IN_STACKS,
)
FUNCTION_INTERFACES_GONE = Duration(
    "Lambda gives back the network interfaces of a function in a VPC (20 to 30 minutes)",
    1500,
    _EXPRESS,
    f"{_IN_STACKS} that deletes the function",
)
SESSION = Duration(
    "a role's session ends, unless its DurationSeconds say otherwise; that of a chained role after that at the latest",
    3600,
    "https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html",
    "later calls are refused with ExpiredToken",
)
BUDGET_DATA = Duration(
    "a budget knows of spending (8 to 12 hours after its last data)",
    43200,
    "https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-managing-costs.html",
    "nothing is spent here, and no budget notifies",
    taken=False,
)
ERROR_KEPT = Duration(
    "CloudFront answers a GET or HEAD with an error that it keeps, where no ErrorCachingMinTTL says otherwise",
    10,
    "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html",
    "from the origin's error on, for callers with and without a key",
)
DURATIONS = (
    WAKE,
    WAKE_WITHOUT_CACHE,
    WAKE_PESSIMISTIC,
    ALARM,
    QUIET_UNTIL_NO_COPIES,
    IDLE_UNTIL_NO_INSTANCES,
    VPC_ORIGIN_CREATED,
    VPC_ORIGIN_CHANGED,
    DISTRIBUTION_CHANGED,
    FUNCTION_INTERFACES_GONE,
    SESSION,
    BUDGET_DATA,
    ERROR_KEPT,
)


def factor() -> float:
    """How many seconds of AWS pass in one second here.

    Raises:
        LocalCloudError: the variable is no positive number.
    """
    return _positive(VARIABLE, os.environ.get(VARIABLE, "") or DEFAULT_FACTOR, "1 is as slow as AWS")


def wake_here(*, cached: bool) -> float:
    """Seconds here from a wake's beginning to the start of its container.

    Args:
        cached: whether the endpoint has run a copy before.

    Raises:
        LocalCloudError: a variable is neither a positive number nor a name that is known.
    """
    given = os.environ.get(WAKE_VARIABLE, "")
    if not given:
        return (WAKE if cached else WAKE_WITHOUT_CACHE).here()
    if given == PESSIMISTIC:
        return WAKE_PESSIMISTIC.here()
    return _positive(WAKE_VARIABLE, given, f"seconds of AWS; or {PESSIMISTIC!r}") / factor()


def scales_in() -> bool:
    """Whether copies without calls are taken away."""
    return os.environ.get(SCALE_IN_VARIABLE) == "on"


def stacks_take_time() -> bool:
    """Whether a stack takes the minutes of what it makes, changes and deletes."""
    return os.environ.get(STACKS_VARIABLE) == "on"


def check_settings() -> None:
    """Read every variable.

    Raises:
        LocalCloudError: one is wrong; the message says what it accepts.
    """
    wake_here(cached=True)


def _positive(variable: str, given: str | float, accepted: str) -> float:
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise LocalCloudError(f"{variable} must be a positive number, not {given!r}: {accepted}.")
    return found
