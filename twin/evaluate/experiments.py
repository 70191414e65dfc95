"""Datasets and experiments of a stage's Opik, through its SDK."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import opik
from opik.api_objects.experiment.experiment_item import ExperimentItemReferences
from opik.exceptions import ExperimentNotFound
from opik.rest_api.core.api_error import ApiError

from services.evaluation.dataset.monitoring_dataset import DatasetMissing, Item, open_dataset, read_items
from services.evaluation.metrics.summary import ItemScores
from services.evaluation.run.opik_metrics import feedback
from twin.target.errors import TwinError
from twin.target.opik_client import OpikReader

STORED_SECONDS = 60.0
FLUSH_SECONDS = 30
Recorded = dict[str, tuple[str, dict[str, float]]]
"""Trace id and scores by the id of the dataset's item."""


class Experiments:
    """The datasets and experiments of one project. Every method raises TwinError when Opik cannot be reached."""

    def __init__(self, client: opik.Opik, project: str) -> None:
        """Use `open_experiments`."""
        self._client = client
        self._project = project

    def items(self, dataset: str) -> list[Item]:
        """All items of a dataset, newest first.

        Raises:
            TwinError: there is no such dataset.
        """
        try:
            open_dataset(self._client, dataset)
        except DatasetMissing:
            raise TwinError(f"Opik has no dataset {dataset!r} in project {self._project!r}.") from None
        found = read_items(self._client, dataset, self._project, None)
        return sorted(found, key=lambda item: (item.created_at, item.id), reverse=True)

    def read(self, name: str) -> Recorded:
        """What an experiment recorded, the newest one of that name.

        Raises:
            TwinError: there is none.
        """
        try:
            same = [each for each in self._client.get_experiments_by_name(name) if each.name == name]
        except ExperimentNotFound:
            same = []
        if not same:
            raise TwinError(f"Opik has no experiment {name!r} in project {self._project!r}.")
        newest = max(same, key=lambda each: each.id)
        return {
            item.dataset_item_id: (item.trace_id, {s["name"]: float(s["value"]) for s in item.feedback_scores})
            for item in newest.get_items()
        }

    def record(
        self,
        dataset: str,
        name: str,
        config: Mapping[str, Any],
        traces: Mapping[str, str],
        scores: Sequence[ItemScores],
    ) -> None:
        """Record answers that have a trace already, with their scores on it, as an experiment.

        Args:
            dataset: whose items were asked.
            name: of the experiment.
            config: what was evaluated.
            traces: trace id by item id.
            scores: of the traces.

        Raises:
            TwinError: Opik did not keep everything.
        """
        experiment = self._client.create_experiment(dataset_name=dataset, name=name, experiment_config=dict(config))
        experiment.insert(
            [ExperimentItemReferences(item, trace, project_name=self._project) for item, trace in traces.items()]
        )
        values = feedback(scores)
        if values:
            self._client.log_traces_feedback_scores(values, project_name=self._project)
        self._await_stored(experiment, len(traces), len(values))

    def _await_stored(self, experiment: Any, items: int, scores: int) -> None:
        """Read back until everything is there: the SDK reports a flush as done while messages still wait."""
        self._client.flush(timeout=FLUSH_SECONDS)
        deadline = time.monotonic() + STORED_SECONDS
        while True:
            stored = experiment.get_items()
            if len(stored) >= items and sum(len(item.feedback_scores) for item in stored) >= scores:
                return
            if time.monotonic() > deadline:
                raise TwinError(f"Opik holds {len(stored)} of {items} items of {experiment.name}: it is not complete.")
            time.sleep(0.5)


@contextmanager
def open_experiments(reader: OpikReader) -> Iterator[Experiments]:
    """The SDK at the address, and with the key, of `reader`; its errors become TwinError.

    Raises:
        TwinError: Opik cannot be reached or refuses.
    """
    api, headers = reader.api, reader.api.headers
    if api.base_url.host == "127.0.0.1":
        # The SDK obeys a proxy of the caller's shell, which must not be used for this machine's loopback.
        os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1")))
    try:
        # The SDK tries for twelve seconds before it says so.
        api.get("/is-alive/ping").raise_for_status()
    except httpx.HTTPError as error:
        raise TwinError(f"Opik at {api.base_url} cannot be reached: {error or type(error).__name__}.") from None
    client = opik.Opik(
        project_name=reader.project,
        workspace=headers.get("Comet-Workspace", "default"),
        host=str(api.base_url).rstrip("/"),
        api_key=headers.get("Authorization") or None,
        _show_misconfiguration_message=False,
    )
    try:
        yield Experiments(client, reader.project)
    except ApiError as error:
        raise TwinError(f"Opik at {api.base_url} refused: HTTP {error.status_code} {error.body}.") from None
    except httpx.HTTPError as error:
        raise TwinError(f"Opik at {api.base_url} cannot be reached: {error or type(error).__name__}.") from None
    finally:
        client.end(timeout=5)
