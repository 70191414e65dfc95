"""Creation time (by Opik's clock) of the last item that was judged, kept in an SSM parameter."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from services.evaluation.dataset.monitoring_dataset import iso

logger = logging.getLogger(__name__)


class Watermark:
    """The parameter; each method raises botocore's ClientError when it does not exist or may not be used."""

    def __init__(self, client: Any, parameter_name: str) -> None:
        """Keep the parts.

        Args:
            client: of `ssm`.
            parameter_name: name of the parameter.
        """
        self._client = client
        self._name = parameter_name

    def read(self) -> datetime | None:
        """The creation time up to which items were judged, or None before the first run.

        Before the first run the parameter holds a placeholder, because SSM allows no empty value.
        """
        value = str(self._client.get_parameter(Name=self._name)["Parameter"]["Value"])
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            logger.info("no watermark yet in %s: every item is new", self._name)
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def write(self, moment: datetime) -> None:
        """Record that every item created up to `moment` was judged."""
        self._client.put_parameter(Name=self._name, Value=iso(moment), Type="String", Overwrite=True)
