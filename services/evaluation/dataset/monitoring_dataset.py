"""Connection to Opik, and incremental reading of the monitoring dataset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import opik
from opik.api_objects.opik_query_language import OpikQueryLanguage
from opik.rest_api.core.api_error import ApiError

from services.common.secret_values import read_secret
from services.evaluation.settings import OpikSettings

# Items per request; an item is a few kilobytes.
PAGE_SIZE = 500
_RESOLUTION = timedelta(microseconds=1)


class DatasetMissing(RuntimeError):
    """The monitoring dataset does not exist: no sample was ever collected."""


@dataclass(frozen=True)
class Item:
    """An item of the dataset: `id`, `created_at` (Opik's clock) and its fields."""

    id: str
    created_at: datetime
    data: dict[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the answer; empty when the item has none."""
        found = self.data.get("metadata")
        return found if isinstance(found, dict) else {}


def connect(settings: OpikSettings) -> opik.Opik:
    """A client for the settings, which also becomes the one that `opik.evaluation` uses.

    Raises:
        SecretUnavailableError: the API key cannot be read.
    """
    client = opik.Opik(
        project_name=settings.opik_project_name,
        workspace=settings.opik_workspace,
        host=settings.opik_url_override,
        api_key=read_secret(boto3.client("secretsmanager"), settings.opik_api_key_secret_arn),
        _show_misconfiguration_message=False,
    )
    opik.set_global_client(client)
    return client


def iso(moment: datetime) -> str:
    """A time as Opik's filters take it: UTC with microseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def open_dataset(client: opik.Opik, name: str) -> opik.Dataset:
    """The dataset.

    Raises:
        DatasetMissing: there is none of that name.
        opik.rest_api.core.api_error.ApiError: Opik refuses the call for another reason.
    """
    try:
        return client.get_dataset(name)
    except ApiError as error:
        if error.status_code == 404:
            raise DatasetMissing(
                f"Opik has no dataset {name!r}: no sampled answer has been collected yet. Ask a question, or check the "
                "samples queue and the collect_samples function."
            ) from None
        raise


def filter_between(after: datetime | None, until: datetime | None = None) -> str | None:
    """The filter for items created after `after` and no later than `until`; None selects everything.

    Opik's times are finer than the microseconds that come back from it, so both bounds lie one microsecond later: an
    item at `after` plus a few nanoseconds was judged, one at `until` plus a few nanoseconds is to be judged.
    """
    conditions = []
    if after is not None:
        conditions.append(f'created_at >= "{iso(after + _RESOLUTION)}"')
    if until is not None:
        conditions.append(f'created_at <= "{iso(until + _RESOLUTION)}"')
    return " AND ".join(conditions) or None


def read_items(
    client: opik.Opik, name: str, project_name: str, after: datetime | None, until: datetime | None = None
) -> Iterator[Item]:
    """The items created after `after` and no later than `until`, page by page; None is no bound.

    The SDK's own reader leaves out the creation time, which is what the watermark must follow: the Lambda's clock may
    run ahead of Opik's, and an item created in between would never be judged.
    """
    filters = filter_between(after, until)
    expressions = OpikQueryLanguage.for_dataset_items(filters).get_filter_expressions() if filters else None
    arguments = {"filters": json.dumps(expressions)} if expressions else {}
    last_id: str | None = None
    while True:
        cursor = {"last_retrieved_id": last_id} if last_id else {}
        stream = client.rest_client.datasets.stream_dataset_items(
            dataset_name=name, project_name=project_name, steam_limit=PAGE_SIZE, **arguments, **cursor
        )
        page = [_item(record) for record in _records(stream)]
        yield from page
        if len(page) < PAGE_SIZE:
            return
        last_id = page[-1].id


def _records(stream: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """JSON objects of a newline-separated stream, whose pieces may end anywhere."""
    rest = b""
    for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)


def _item(record: dict[str, Any]) -> Item:
    created_at = datetime.fromisoformat(record["created_at"])
    return Item(
        id=record["id"],
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
        data=record.get("data") or {},
    )
