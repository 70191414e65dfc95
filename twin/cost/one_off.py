"""What a deployment costs once, beside the months of the stage."""

from __future__ import annotations

from decimal import Decimal

from twin.cost import prices
from twin.cost.report import list_price, money

BUILD_MINUTES = Decimal(6)
"""Assumed of a build of the image without a cache; CodeBuild rounds up to the minute."""
BUILD_MINUTE = "build.arm-minute"


def image_build(region: str) -> str:
    """A sentence on the price of building the service's image in the account.

    Raises:
        TwinError: the price table cannot be read.
    """
    price = prices.load().find(BUILD_MINUTE, region)
    if price is None:
        return f"Building the image costs about {BUILD_MINUTES} minutes of CodeBuild, whose price is not in the table."
    total = money(BUILD_MINUTES * price.usd)
    return (
        f"Once per release: building the image takes about {BUILD_MINUTES} minutes of CodeBuild at "
        f"{list_price(price.usd)} USD a minute, {total} USD."
    )
