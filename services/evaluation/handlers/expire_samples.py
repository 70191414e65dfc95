"""Removal of dataset items that are older than their retention."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import opik

from services.common.lambda_runtime import once_per_process, start
from services.evaluation.dataset.monitoring_dataset import DatasetMissing, connect, open_dataset, read_items
from services.evaluation.settings import ExpireSamplesSettings

logger = logging.getLogger(__name__)

BATCH = 1000


def handler(_event: dict[str, Any] | None, _context: object) -> dict[str, dict[str, int]]:
    """Delete every item that is older than its dataset's days; a dataset that does not exist (yet) is skipped.

    Returns:
        `{"deleted": {dataset: number of items}}`.

    Raises:
        SecretUnavailableError, opik.rest_api.core.api_error.ApiError: Opik cannot be used; the next call goes on.
    """
    settings = _settings()
    # Once a day: the key is read at each call.
    return expire_samples(settings, connect(settings), datetime.now(UTC))


def expire_samples(settings: ExpireSamplesSettings, client: opik.Opik, now: datetime) -> dict[str, dict[str, int]]:
    """Delete the items that are too old at `now`; see `handler`."""
    deleted: dict[str, int] = {}
    for name, days in settings.retention_days.items():
        try:
            dataset = open_dataset(client, name)
        except DatasetMissing:
            continue
        old = [
            item.id for item in read_items(client, name, settings.opik_project_name, None, now - timedelta(days=days))
        ]
        for first in range(0, len(old), BATCH):
            dataset.delete(old[first : first + BATCH])
        deleted[name] = len(old)
        logger.info("dataset %s: deleted %d items older than %d days", name, len(old), days)
    return {"deleted": deleted}


@once_per_process
def _settings() -> ExpireSamplesSettings:
    return start(ExpireSamplesSettings)
