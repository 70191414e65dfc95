"""`twin init`: what is asked, what is written, and what is left as it was."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.settings import deployment
from infra.settings.deployment import load_settings
from infra.settings.placeholders import is_placeholder, placeholders
from twin.configure import interview, stage_file
from twin.configure.interview import take_defaults
from twin.configure.stage_file import Answers
from twin.target import stage_secrets
from twin.target.errors import TwinError


def run(stage: str, ask: interview.Ask = take_defaults, **given: Any) -> interview.Done:
    return interview.run(stage, Answers(**given), ask)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings files in a folder of their own, and no answer of this machine's AWS profile."""
    folder = tmp_path / "config"
    shutil.copytree(deployment.CONFIG, folder)
    for module in (deployment, stage_file):
        monkeypatch.setattr(module, "CONFIG", folder)
    monkeypatch.setattr(stage_secrets, "LOCAL", tmp_path / ".local")
    monkeypatch.setattr(interview, "_region", lambda: None)
    yield folder


def answering(*answers: str) -> tuple[list[str], interview.Ask]:
    """Questions that are asked, and who answers them in this order."""
    asked: list[str] = []
    waiting = iter(answers)

    def ask(question: str, default: str, hidden: bool) -> str:
        asked.append(question)
        return next(waiting)

    return asked, ask


def test_three_questions_make_a_stage_that_can_be_deployed(config: Path) -> None:
    assert placeholders(load_settings("dev"))
    asked, ask = answering("ada@quill.org, ben@marsh.org", "250", "key-of-opik")
    done = run("dev", ask)
    assert len(asked) == 3
    settings = load_settings("dev")
    assert placeholders(settings) == {}
    assert settings.vectors.hosted is not None and settings.vectors.url is None
    assert settings.evaluation.alert_emails == ("ada@quill.org", "ben@marsh.org")
    assert settings.guard.monthly_budget_usd == 250 and settings.guard.ttl_hours == 8
    assert stage_secrets.pending("dev") == {"opik": "key-of-opik"}
    assert "key-of-opik" not in done.path.read_text() and "key-of-opik" not in "".join(done.notes)
    (kept,) = (config.parent / ".local" / "secrets").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_comments_and_what_is_not_answered_stay(config: Path) -> None:
    before = (config / "prod.toml").read_text().splitlines()
    run("prod", emails=("ada@quill.org",))
    after = (config / "prod.toml").read_text().splitlines()
    lost = [line for line in before if line and line not in after]
    assert lost == ['url = "https://qdrant.example.com:6333"']
    assert load_settings("prod").network.layout == "private"
    assert load_settings("prod").guard.monthly_budget_usd == 4000


def test_a_new_stage_begins_with_that_of_dev(config: Path) -> None:
    run("staging", region="eu-west-1", store="https://qdrant.internal:6333", documents_bucket="our-documents")
    settings = load_settings("staging")
    assert settings.rag.documents_bucket == "our-documents"
    assert (settings.region, settings.vectors.url) == ("eu-west-1", "https://qdrant.internal:6333")
    assert settings.guard.kill_switch
    assert (config / "staging.toml").read_text().startswith("# Stage staging.")


def test_a_store_that_is_somewhere_stays_until_another_is_named(config: Path) -> None:
    run("dev", store="https://qdrant.internal:6333")
    notes = run("dev").notes
    assert load_settings("dev").vectors.url == "https://qdrant.internal:6333"
    assert any("twin secrets set qdrant-write --stage dev" in note for note in notes)
    run("dev", store="hosted")
    run("dev")
    assert load_settings("dev").vectors.hosted is not None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"region": "mars"}, "region"),
        ({"opik": "https://opik.internal"}, "/api"),
        ({"emails": ("nobody",)}, "alert_emails"),
        ({"store": "http://qdrant.internal"}, "https"),
        ({"budget_usd": -1}, "monthly_budget_usd"),
    ],
)
def test_a_wrong_answer_writes_nothing(config: Path, given: dict[str, Any], says: str) -> None:
    before = (config / "dev.toml").read_text()
    with pytest.raises(TwinError, match="Nothing was written") as refused:
        run("dev", **given)
    assert says in str(refused.value)
    assert (config / "dev.toml").read_text() == before
    with pytest.raises(TwinError):
        run("fresh", region="mars")
    assert not (config / "fresh.toml").exists()


@pytest.mark.parametrize("stage", ["local", "pr-7", "Dev", "a b", "../dev", ""])
def test_stages_without_a_file_of_their_own_are_refused(stage: str) -> None:
    with pytest.raises(TwinError, match="cannot be set up"):
        run(stage)


def test_a_damaged_file_is_named(config: Path) -> None:
    (config / "dev.toml").write_text("[vectors\n")
    with pytest.raises(TwinError, match=r"infra/config/dev\.toml is not valid TOML"):
        run("dev")


def test_no_number_of_dollars_is_one_sentence() -> None:
    _, ask = answering("", "a lot", "")
    with pytest.raises(TwinError, match="'a lot' is no number of US dollars"):
        run("dev", ask)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://qdrant.example.com:6333", True),
        ("https://EXAMPLE.org./api", True),
        ("https://opik.test/api", True),
        ("https://a.b.invalid", True),
        ("https://www.comet.com/opik/api", False),
        ("https://example.company.com", False),
        ("https://contest.io", False),
        (None, False),
    ],
)
def test_examples_are_told_from_addresses(url: str | None, expected: bool) -> None:
    assert is_placeholder(url) is expected


def test_a_damaged_file_of_waiting_secrets_is_named(config: Path) -> None:
    path = stage_secrets.keep("dev", "opik", "a")
    stage_secrets.keep("dev", "slack", "b")
    assert json.loads(path.read_text()) == {"opik": "a", "slack": "b"}
    path.write_text("[]")
    with pytest.raises(TwinError, match="is damaged: delete it"):
        stage_secrets.pending("dev")
    with pytest.raises(TwinError, match="There is no secret 'opic': use one of opik, qdrant"):
        stage_secrets.secret("opic")
