"""What is ingested after a deployment, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings.deployment import load_settings
from twin.ask import documents
from twin.target.paths import ROOT
from twin.target.stage import Stage

HOSTED = '{"url": null, "hosted": {}}'
FOLDER = str(ROOT / "examples" / "corpus")


@pytest.mark.parametrize(
    ("stage", "variables", "source"),
    [
        ("dev", {}, FOLDER),
        ("pr-12", {}, FOLDER),
        ("prod", {}, None),
        ("standard", {}, None),
        ("prod", {"TWIN_RAG__DOCUMENTS": "s3://mine/posts"}, "s3://mine/posts"),
        ("prod", {"TWIN_VECTORS": HOSTED}, None),
        # Copied into the stage's bucket by `twin deploy` of a person.
        ("dev", {"TWIN_VECTORS": HOSTED}, None),
        ("dev", {"TWIN_VECTORS": HOSTED, "TWIN_RAG__DOCUMENTS_BUCKET": "mine"}, "s3://mine"),
        ("prod", {"TWIN_VECTORS": HOSTED, "TWIN_RAG__DOCUMENTS_BUCKET": "mine"}, None),
        # The example corpus is for stages that end by themselves.
        ("prod", {"TWIN_RAG__DOCUMENTS": "examples/corpus"}, None),
        ("dev", {"TWIN_RAG__DOCUMENTS": "examples/corpus", "TWIN_GUARD__ENABLED": "false"}, None),
        ("prod", {"TWIN_RAG__DOCUMENTS": "docs"}, str(ROOT / "docs")),
    ],
)
def test_only_a_stage_that_asks_for_documents_gets_them_from_where_its_store_is_reached(
    monkeypatch: pytest.MonkeyPatch, stage: str, variables: dict[str, str], source: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked: list[str] = []

    def ingest(_: Stage, source: str) -> dict[str, Any]:
        asked.append(source)
        return {}

    monkeypatch.setattr(documents, "ingest", ingest)
    said: list[str] = []
    report = documents.ingest_documents(Stage(stage, "us-east-1"), said.append)
    assert asked == ([] if source is None else [source])
    assert (report is None) == (source is None)
    assert all(line.endswith(".") for line in said) and (said or source)


def test_a_persons_deployment_takes_the_bucket_that_the_stage_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_RAG__DOCUMENTS_BUCKET", "mine")
    source, why = documents.documents_of(Stage("prod", "us-east-1"), load_settings("prod"))
    assert source == "s3://mine" and "by a task of the stage" in why
