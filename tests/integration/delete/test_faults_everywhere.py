"""Creation fails at one resource after the other: rolled back and deleted, nothing of it is left.

Each type of resource fails once in every run. `TWIN_EVERY_FAULT=1` makes each single resource of each stack fail.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tests.infra.conftest import Templates
from tests.integration.delete.conftest import ORDER, Cloud, failing
from twin.delete import delete as command
from twin.target.stage import Stage

EVERY = "TWIN_EVERY_FAULT"
REASON = "The account's limit is reached"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred deletions in a row: one client per service."""
    make = Stage.client

    @cache
    def client(service: str) -> Any:
        return make(Stage("local", "us-east-1"), service)

    monkeypatch.setattr(Stage, "client", lambda stage, service, **config: client(service))


def sampled(templates: Templates, part: str) -> list[str]:
    """The first resource of each type that no earlier stack has, and the last one, after which all others stand."""
    earlier = {found["Type"] for name in ORDER[: ORDER.index(part)] for found in templates[name]["Resources"].values()}
    first: dict[str, str] = {}
    for logical_id, found in templates[part]["Resources"].items():
        if found["Type"] not in earlier:
            first.setdefault(found["Type"], logical_id)
    return list(dict.fromkeys([*first.values(), list(templates[part]["Resources"])[-1]]))


def fail_at_each(cloud: Cloud, part: str, logical_ids: Sequence[str]) -> None:
    before = ORDER[: ORDER.index(part)]
    cloud.create_all(before)
    kept = [cloud.name(name) for name in before]
    assert command.take_down(cloud.stage, kept, ignore) == []
    for logical_id in logical_ids:
        assert cloud.create(part, failing(cloud.templates[part], logical_id, create=REASON)) == "ROLLBACK_COMPLETE"
        assert cloud.failures(part) == [f"{logical_id}: {REASON}"]
        assert command.take_down(cloud.stage, kept, ignore) == [], logical_id


def ignore(line: str) -> None:
    """Progress that nobody reads."""


@pytest.mark.parametrize("part", ORDER)
def test_a_creation_that_fails_leaves_nothing(cloud: Cloud, part: str) -> None:
    fail_at_each(cloud, part, sampled(cloud.templates, part))


@pytest.mark.skipif(not os.environ.get(EVERY), reason=f"every resource takes some minutes: set {EVERY}=1")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", ORDER)
def test_a_creation_that_fails_anywhere_leaves_nothing(cloud: Cloud, part: str) -> None:
    fail_at_each(cloud, part, list(cloud.templates[part]["Resources"]))


def test_what_the_faults_were_tried_beside_goes_as_well(cloud: Cloud) -> None:
    cloud.create_all()
    assert command.take_down(cloud.stage, (), ignore) == []
    standing = cloud.cloudformation.list_stacks()["StackSummaries"]
    assert {stack["StackStatus"] for stack in standing} == {"DELETE_COMPLETE"}
