"""SQS -> Opik dataset. No accepted sample is lost: SQS delivers again what was not stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import opik
from botocore.exceptions import BotoCoreError, ClientError
from opik.rest_api.core.api_error import ApiError

from services.common.lambda_runtime import once_per_process, start
from services.common.secret_values import SecretUnavailableError
from services.evaluation.dataset.monitoring_dataset import connect
from services.evaluation.dataset.samples import MalformedSampleError, Sample
from services.evaluation.run.bookkeeping import count_samples
from services.evaluation.run.function_call import start_evaluation
from services.evaluation.settings import CollectSettings
from services.evaluation.state import State

logger = logging.getLogger(__name__)

# Opik refuses a whole request for one item: only then is each item sent in a separate request.
_REFUSED = frozenset({400, 413, 422})
_NOT_STORED = (ApiError, httpx.HTTPError, SecretUnavailableError)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Insert a batch of samples into the dataset.

    A malformed message fails alone and reaches the dead-letter queue after its redeliveries; a good one fails only when
    Opik did not take it. Inserting an item a second time changes nothing.

    Returns:
        `{"batchItemFailures": [{"itemIdentifier": message id}, ...]}`: the messages that SQS shall deliver again.
    """
    return _collector().collect(event)


@dataclass(frozen=True)
class SampleCollector:
    """Stores samples and counts them.

    Attributes:
        settings: of the function.
        state: the state table.
        opik_client: returns the client; called only when there is something to store.
    """

    settings: CollectSettings
    state: State
    opik_client: Callable[[], opik.Opik]

    @classmethod
    def from_settings(cls, settings: CollectSettings) -> SampleCollector:
        """A collector with new clients."""
        return cls(settings, State(settings.state_table_name), once_per_process(lambda: connect(settings)))

    def collect(self, event: dict[str, Any]) -> dict[str, Any]:
        """Store the samples of an event of SQS; see `handler`."""
        failed: list[str] = []
        items: dict[str, dict[str, Any]] = {}
        for record in event.get("Records", []):
            message_id = record["messageId"]
            try:
                items[message_id] = Sample.parse(record["body"]).dataset_item()
            except MalformedSampleError as problem:
                logger.error("message %s is not a sample and goes to the dead-letter queue: %s", message_id, problem)
                failed.append(message_id)
        not_stored = self.store(items)
        stored = len(items) - len(not_stored)
        if stored:
            self.count(stored)
        logger.info("stored %d of %d samples", stored, len(items))
        failed += not_stored
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    def store(self, items: dict[str, dict[str, Any]]) -> list[str]:
        """Insert the items (by message id); returns the ids of the messages whose item was not stored."""
        if not items:
            return []
        try:
            dataset = self.opik_client().get_or_create_dataset(self.settings.dataset_name)
            return insert(dataset, items)
        except _NOT_STORED as problem:
            logger.error(
                "Opik did not take %d samples (%s); they will be delivered again", len(items), _reason(problem)
            )
            return list(items)

    def count(self, stored: int) -> None:
        """Count towards the next evaluation; samples that cannot be counted wait for the hourly one."""
        settings = self.settings
        try:
            if count_samples(
                self.state, stored, settings.evaluate_every, lambda: start_evaluation(settings.evaluate_function_name)
            ):
                logger.info("another %d samples have come: started an evaluation", settings.evaluate_every)
        except (ClientError, BotoCoreError) as problem:
            logger.error("%d samples are not counted towards the next evaluation: %s", stored, type(problem).__name__)


def insert(dataset: Any, items: dict[str, dict[str, Any]]) -> list[str]:
    """Insert the items (by message id) into a dataset; returns the ids of the messages whose item Opik refuses.

    Raises:
        opik.rest_api.core.api_error.ApiError: Opik did not take the request for another reason than an item.
    """
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
        return [refused for message_id, item in items.items() for refused in insert(dataset, {message_id: item})]
    return []


@once_per_process
def _collector() -> SampleCollector:
    return SampleCollector.from_settings(start(CollectSettings))


def _unique(items: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One item per id: a queue may deliver a message twice in one batch."""
    return list({item["id"]: item for item in items.values()}.values())


def _reason(problem: Exception) -> str:
    return f"HTTP {problem.status_code}" if isinstance(problem, ApiError) else type(problem).__name__
