"""Fetches prices from the AWS Price List API (`pricing:GetProducts`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from twin.cost.catalog import Query, query
from twin.cost.prices import Price, PriceTable
from twin.target.errors import TwinError
from twin.target.progress import Progress

API_REGION = "us-east-1"
"""The API lives in a few regions and answers for all of them."""
SOURCE = "AWS Price List API"
UNITS = {"sagemaker": "hour", "machine": "hour"}
DENIED = ("AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException")
SMALLEST = Decimal("1E-12")


@dataclass(frozen=True)
class Refresh:
    """What a refresh brought.

    Attributes:
        prices: every price that the list gave.
        kept: why the others stay as they were, by key.
    """

    prices: tuple[Price, ...]
    kept: Mapping[str, str]


def client() -> Any:
    """A client of the Price List API; `AWS_ENDPOINT_URL_PRICING` points it elsewhere, as for every SDK."""
    return boto3.client(
        "pricing", region_name=API_REGION, config=Config(retries={"max_attempts": 4, "mode": "standard"})
    )


def refresh(keys: Iterable[str], region: str, known: PriceTable, today: date, progress: Progress) -> Refresh:
    """Ask for every key in `region`.

    Of a tiered price the dearest tier is taken: the first ones are free or, at this size, never left.

    Raises:
        TwinError: when the credentials may not call the API.
        botocore.exceptions.BotoCoreError: without credentials, or when the API is out of reach.
    """
    pricing = client()
    prices: list[Price] = []
    kept: dict[str, str] = {}
    for key in sorted(set(keys)):
        wanted = query(key)
        if wanted is None:
            kept[key] = "no row of the price list is known to be this price"
            continue
        found = {usd for usd in _prices(pricing, wanted, region) if usd > 0}
        if len(found) != 1:
            kept[key] = f"the price list gives {len(found)} prices for it in {region}"
            continue
        (usd,) = found
        before = known.find(key, region)
        unit = before.unit if before else UNITS[key.partition(".")[0]]
        prices.append(Price(key, usd, unit, region, SOURCE, today))
        progress(f"{key}: {usd.normalize():f} USD per {unit} in {region}")
    return Refresh(tuple(prices), kept)


def _prices(pricing: Any, wanted: Query, region: str) -> Iterator[Decimal]:
    for product in _products(pricing, wanted, region):
        if not wanted.matches(product["product"]["attributes"].get("usagetype", "")):
            continue
        for term in product.get("terms", {}).get("OnDemand", {}).values():
            tiers = [tier for tier in term["priceDimensions"].values() if tier["unit"] == wanted.unit]
            amounts = [Decimal(tier["pricePerUnit"]["USD"]) for tier in tiers if "USD" in tier["pricePerUnit"]]
            if amounts:
                yield max(amounts).quantize(SMALLEST).normalize()


def _products(pricing: Any, wanted: Query, region: str) -> Iterator[dict[str, Any]]:
    attributes = {"regionCode": region, **wanted.filters}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in attributes.items()]
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode=wanted.service, Filters=filters, FormatVersion="aws_v1"
    )
    try:
        for page in pages:
            for document in page["PriceList"]:
                yield json.loads(document)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in DENIED:
            raise
        raise TwinError(
            "These credentials may not read prices: allow them pricing:GetProducts, or go on with the shipped table."
        ) from None
