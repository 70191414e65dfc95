"""SQS -> Opik dataset. No accepted sample is lost: what was not stored is reported back to the queue."""

from __future__ import annotations

import functools
import logging
from typing import Any

import httpx
import opik
from botocore.exceptions import BotoCoreError, ClientError
from opik.rest_api.core.api_error import ApiError

from services.common.logging import configure_logging
from services.evaluation.dataset.opik_connection import connect
from services.evaluation.dataset.samples import MalformedSampleError, Sample
from services.evaluation.run.count_trigger import evaluate_when_due
from services.evaluation.settings import CollectSettings
from services.evaluation.storage.secret_values import SecretUnavailableError
from services.evaluation.storage.state import open_state

logger = logging.getLogger(__name__)

# Opik refuses a whole request for one item: only then is it worth asking for each item alone.
_REFUSED = frozenset({400, 413, 422})
_NOT_STORED = (ApiError, httpx.HTTPError, SecretUnavailableError)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Insert a batch of samples into the dataset.

    A malformed message fails alone and reaches the dead-letter queue after its redeliveries; a good one fails only when
    Opik did not take it. Inserting again what is already there changes nothing.

    Returns:
        `{"batchItemFailures": [{"itemIdentifier": message id}, ...]}`: the messages that SQS shall deliver again.
    """
    settings = _start()
    failed: list[str] = []
    items: dict[str, dict[str, Any]] = {}
    for record in event.get("Records", []):
        message_id = record["messageId"]
        try:
            items[message_id] = Sample.parse(record["body"]).dataset_item()
        except MalformedSampleError as problem:
            logger.error("message %s is not a sample and goes to the dead-letter queue: %s", message_id, problem)
            failed.append(message_id)
    lost = _store(settings, items)
    stored = len(items) - len(lost)
    if stored:
        _count(settings, stored)
    logger.info("stored %d of %d samples", stored, len(items))
    failed += lost
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@functools.cache
def _start() -> CollectSettings:
    configure_logging()
    return CollectSettings.load()


@functools.cache
def _client(settings: CollectSettings) -> opik.Opik:
    return connect(settings)


def _count(settings: CollectSettings, stored: int) -> None:
    """Count towards the next evaluation; what cannot be counted is in the dataset and waits for the hourly one."""
    try:
        state = open_state(settings.state_table_name)
        if evaluate_when_due(state, stored, settings.evaluate_every, settings.evaluate_function_name):
            logger.info("another %d samples have come: started an evaluation", settings.evaluate_every)
    except (ClientError, BotoCoreError) as problem:
        logger.error("%d samples are not counted towards the next evaluation: %s", stored, type(problem).__name__)


def _store(settings: CollectSettings, items: dict[str, dict[str, Any]]) -> list[str]:
    """Insert the items (by message id); returns the ids of the messages whose item was not stored."""
    if not items:
        return []
    try:
        dataset = _client(settings).get_or_create_dataset(settings.dataset_name)
        return _insert(dataset, items)
    except _NOT_STORED as problem:
        logger.error("Opik did not take %d samples (%s); they will be delivered again", len(items), _reason(problem))
        return list(items)


def _insert(dataset: Any, items: dict[str, dict[str, Any]]) -> list[str]:
    try:
        # Without deduplication: with it, the SDK downloads the whole dataset first. The id already makes it idempotent.
        dataset.insert(_unique(items), deduplication=False)
    except ApiError as problem:
        if problem.status_code not in _REFUSED:
            raise
        if len(items) == 1:
            (message_id,) = items
            logger.error("Opik refuses the sample of message %s: %s", message_id, _reason(problem))
            return [message_id]
        return [lost for message_id, item in items.items() for lost in _insert(dataset, {message_id: item})]
    return []


def _unique(items: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One item per id: a queue may deliver a message twice in one batch."""
    return list({item["id"]: item for item in items.values()}.values())


def _reason(problem: Exception) -> str:
    return f"HTTP {problem.status_code}" if isinstance(problem, ApiError) else type(problem).__name__
