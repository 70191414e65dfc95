"""Deployment settings: sources, bounds, and messages that say what to set and where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from infra.settings.deployment import DeploymentSettings, SettingsError, load_settings


def test_environment_beats_file_and_merges_the_llm_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_LLM__ENVIRONMENT", '{"LLM_ENGINE": "confabulating", "EMBEDDING_MODEL_DIR": "/m"}')
    monkeypatch.setenv("TWIN_VECTORS__URL", "http://127.0.0.1:7777/")
    settings = load_settings("local")
    assert settings.llm.environment == {"LLM_ENGINE": "confabulating", "EMBEDDING_MODEL_DIR": "/m"}
    assert settings.vectors.url == "http://127.0.0.1:7777"
    assert (settings.account, settings.region) == ("000000000000", "us-east-1")


def test_account_comes_from_the_cdk_when_nothing_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings("dev").account is None
    monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", "111122223333")
    assert load_settings("dev").account == "111122223333"
    assert load_settings("local").account == "000000000000"
    monkeypatch.setenv("TWIN_ACCOUNT", "444455556666")
    assert load_settings("dev").account == "444455556666"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TWIN_LLM__MAX_COPIES", "many", ("llm.max_copies", "[llm] of infra/config/dev.toml", "TWIN_LLM__MAX_COPIES")),
        ("TWIN_LLM__MODEL_REVISION", "main", ("llm.model_revision", "TWIN_LLM__MODEL_REVISION")),
        ("TWIN_LLM__NO_SUCH", "1", ("llm.no_such is no setting", "TWIN_LLM__NO_SUCH")),
        ("TWIN_VECTOR__URL", "https://q", ("TWIN_VECTOR__URL names no setting", "TWIN_VECTORS")),
        ("TWIN_LLM__ENVIRONMENT", "{broken", ("TWIN_LLM", "not valid JSON")),
        ("TWIN_LLM__ENVIRONMENT", '{"HF_TOKEN": "hf_x"}', ("looks like a secret", "hub_token_secret_arn")),
        ("TWIN_VECTORS__URL", "http://qdrant.example.com", ("plain http is allowed to 127.0.0.1 only",)),
        ("TWIN_RETRIEVAL__RERANKER", "tei", ("retrieval: reranker tei needs reranker_url",)),
        ("TWIN_MONITORING__OPIK_URL", "https://opik.example.com", ("/api",)),
        ("TWIN_RAG__MEMORY_MB", "8192", ("Fargate needs memory_mb between 1024 and 4096",)),
        ("TWIN_RAG__DOMAIN_NAME", "twin.example.com", ("belong together",)),
        ("TWIN_RAG__CPU", "1000", ("rag.cpu", "256, 512, 1024, 2048 or 4096")),
        ("TWIN_EVALUATION__BATCH_WINDOW_SECONDS", "0", ("more than 10 samples", "batch_window_seconds of 1 or more")),
        ("TWIN_REGION", "Frankfurt", ("region", "TWIN_REGION")),
    ],
)
def test_a_wrong_value_is_explained(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings("dev")
    for words in said:
        assert words in str(error.value)
    assert "hf_x" not in str(error.value)


def test_a_choice_of_numbers_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_RAG__CPU", "1024")
    monkeypatch.setenv("TWIN_RAG__MEMORY_MB", "4096")
    monkeypatch.setenv("TWIN_MONITORING__LOG_RETENTION_DAYS", "30")
    settings = load_settings("dev")
    assert (settings.rag.cpu, settings.monitoring.log_retention_days) == (1024, 30)


def test_a_stage_in_the_environment_does_not_rename_another_ones_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_STAGE", "dev")
    assert load_settings("dev").prefix == "twin-dev"
    with pytest.raises(
        SettingsError, match=r"^TWIN_STAGE is 'dev' where stage 'prod' is asked for: .*Unset TWIN_STAGE"
    ):
        load_settings("prod")


def test_an_unknown_stage_names_the_known_ones() -> None:
    with pytest.raises(
        SettingsError, match=r"use one of dev, local, preview, prod, standard, or add infra/config/team\.toml"
    ):
        load_settings("team")
    with pytest.raises(SettingsError):
        load_settings("../dev")


def test_the_model_is_parked_on_a_whole_hour_or_at_the_fixed_time_and_deleted_as_much_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime(2030, 1, 1, 23, 30, tzinfo=UTC)
    assert load_settings("dev").expires_at(now) == datetime(2030, 1, 2, 8, tzinfo=UTC)
    assert load_settings("dev").deletes_at(now) == datetime(2030, 1, 9, tzinfo=UTC)
    monkeypatch.setenv("TWIN_GUARD__EXPIRES_AT", "2030-05-01T02:00:00+02:00")
    assert load_settings("dev").expires_at(now) == datetime(2030, 5, 1, tzinfo=UTC)
    assert load_settings("dev").deletes_at(now) == datetime(2030, 5, 7, 16, tzinfo=UTC)
    monkeypatch.setenv("TWIN_LLM__MODE", "real-time")
    assert load_settings("dev").deletes_at(now) == datetime(2030, 5, 1, tzinfo=UTC)


def test_a_stack_is_not_deleted_before_its_model_is_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_GUARD__TTL_HOURS", "200")
    with pytest.raises(SettingsError, match=r"delete_after_hours \(168\) must be at least ttl_hours \(200\)"):
        load_settings("dev")
    # Without a guard neither time is used.
    monkeypatch.setenv("TWIN_GUARD__ENABLED", "false")
    assert load_settings("dev").guard.ttl_hours == 200


def test_every_field_is_described() -> None:
    def undescribed(model: type[BaseModel], path: str = "") -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if not field.description:
                found.append(path + name)
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += undescribed(field.annotation, f"{path}{name}.")
        return found

    assert undescribed(DeploymentSettings) == []
