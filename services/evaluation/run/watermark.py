"""How far the monitoring has judged: the creation time (by Opik's clock) of the last item, kept in SSM."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import boto3

from services.evaluation.dataset.timestamps import iso

logger = logging.getLogger(__name__)


def read_watermark(parameter_name: str) -> datetime | None:
    """The creation time up to which items were judged, or None before the first run.

    Before the first run the parameter holds a placeholder, because SSM allows no empty value.

    Raises:
        botocore.exceptions.ClientError: the parameter does not exist or may not be read.
    """
    value = str(boto3.client("ssm").get_parameter(Name=parameter_name)["Parameter"]["Value"])
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        logger.info("no watermark yet in %s: every item is new", parameter_name)
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def write_watermark(parameter_name: str, moment: datetime) -> None:
    """Record that every item created up to `moment` was judged.

    Raises:
        botocore.exceptions.ClientError: the parameter may not be written.
    """
    boto3.client("ssm").put_parameter(Name=parameter_name, Value=iso(moment), Type="String", Overwrite=True)
