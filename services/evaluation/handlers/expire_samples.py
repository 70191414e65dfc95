"""Removes from the datasets what is older than their retention."""

from __future__ import annotations

import functools
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from services.common.logging import configure_logging
from services.evaluation.dataset.monitoring_dataset import DatasetMissing, open_dataset, read_items
from services.evaluation.dataset.opik_connection import connect
from services.evaluation.settings import ExpireSamplesSettings

logger = logging.getLogger(__name__)

BATCH = 1000


def handler(_event: dict[str, Any] | None, _context: object) -> dict[str, dict[str, int]]:
    """Delete every item that is older than its dataset's days; a dataset that does not exist (yet) is passed over.

    Returns:
        `{"deleted": {dataset: number of items}}`.

    Raises:
        SecretUnavailableError, opik.rest_api.core.api_error.ApiError: Opik cannot be asked; the next call goes on.
    """
    settings = _start()
    client = connect(settings)
    now = datetime.now(UTC)
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


@functools.cache
def _start() -> ExpireSamplesSettings:
    configure_logging()
    return ExpireSamplesSettings.load()
