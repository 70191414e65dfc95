"""Lambdas when Opik takes only a part."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from opik.rest_api.core.api_error import ApiError

from services.evaluation.handlers.collect_samples import insert
from services.evaluation.run.shard_scoring import ExperimentNotStoredError, await_stored


class RefusingDataset:
    """Refuses every request that contains the item `bad`, as Opik does, with the given status."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.stored: list[str] = []

    def insert(self, items: list[dict[str, Any]], deduplication: bool) -> None:
        assert deduplication is False, "with it, the SDK downloads the whole dataset"
        if any(item["id"] == "bad" for item in items):
            raise ApiError(status_code=self.status)
        self.stored += [item["id"] for item in items]


ITEMS = {"m0": {"id": "one"}, "m1": {"id": "bad"}, "m2": {"id": "two"}}


def test_one_refused_item_does_not_hold_up_the_others() -> None:
    dataset = RefusingDataset(400)
    assert insert(dataset, ITEMS) == ["m1"]
    assert dataset.stored == ["one", "two"]


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_what_is_not_about_an_item_fails_the_batch(status: int) -> None:
    dataset = RefusingDataset(status)
    with pytest.raises(ApiError):
        insert(dataset, ITEMS)
    assert dataset.stored == []


@pytest.mark.parametrize(("flushed", "stored", "message"), [(False, 2, "did not take"), (True, 1, "holds 1 of 2")])
def test_experiment_that_opik_did_not_keep_is_an_error(flushed: bool, stored: int, message: str) -> None:
    experiment = SimpleNamespace(get_items=lambda: [None] * stored)
    client: Any = SimpleNamespace(flush=lambda timeout: flushed, get_experiment_by_id=lambda _: experiment)
    result: Any = SimpleNamespace(test_results=[1, 2], experiment_id="e", experiment_name="monitoring")
    with pytest.raises(ExperimentNotStoredError, match=message):
        await_stored(client, result, within_seconds=0.0)
