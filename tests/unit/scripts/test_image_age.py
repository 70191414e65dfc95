"""The age of the pinned containers, from sources in the form that AWS gives them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.settings.llm_images import IMAGES, REGISTRIES
from scripts.image_age import UnreadableError, main, registry_differences, report

TODAY = date(2026, 11, 29)
CHANGELOG = """# Changelog

## v2.5.0 \N{EM DASH} 2026-10-30

**Tags:** `server-cuda-v2.5`

## v2.4.1 \N{EM DASH} 2026-09-30

## v2.3.0 \N{EM DASH} 2026-08-17
"""


def table(tag: str, **registries: str) -> dict[str, Any]:
    return {"versions": {"a": {"tag_prefix": tag, "registries": {**REGISTRIES, "cn-north-1": "1", **registries}}}}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "djl-lmi.json").write_text(json.dumps(table("0.36.0-lmi27.0.0-cu130")))
    (tmp_path / "huggingface-vllm.json").write_text(json.dumps({"inference": table("0.21.0-transformers5")}))
    return tmp_path


def test_the_report_says_how_old_each_container_is(tables: Path) -> None:
    assert report(tables, CHANGELOG, TODAY) == [
        "vllm: v2.3 of 2026-08-17, 104 days old: 2 newer, up to v2.5 of 2026-10-30",
        "lmi: LMI 20: 7 behind 0.36.0-lmi27.0.0-cu130",
        f"registries of djl-lmi: the same in {len(REGISTRIES)} regions",
        f"registries of huggingface-vllm: the same in {len(REGISTRIES)} regions",
    ]


def test_the_newest_is_called_so(tables: Path) -> None:
    (tables / "djl-lmi.json").write_text(json.dumps(table("0.36.0-lmi20.0.0-cu128")))
    vllm, lmi, *_ = report(tables, CHANGELOG[CHANGELOG.index("## v2.3.0") :], TODAY)
    assert vllm.endswith(": the newest") and lmi.endswith("as new as the SDK knows")


def test_an_account_that_changed_or_a_new_region_is_named() -> None:
    found = registry_differences(table("x", **{"eu-west-1": "111122223333", "xx-new-1": "2"}))
    assert found == [
        f"eu-west-1: 111122223333 in the SDK, {REGISTRIES['eu-west-1']} here",
        "xx-new-1: 2 in the SDK, none here",
    ]


@pytest.mark.parametrize("changelog", ["# Changelog\n", CHANGELOG.replace("v2.3.0", "v2.2.0")])
def test_a_changelog_of_another_form_is_said(tables: Path, changelog: str) -> None:
    with pytest.raises(UnreadableError, match="changelog"):
        report(tables, changelog, TODAY)


def test_without_a_source_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scripts.image_age.ROOT", tmp_path)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    assert main() == 1
    out, error = capsys.readouterr()
    assert not out and error.startswith("The age is not known: ")


def test_the_pinned_tags_have_the_form_that_is_read() -> None:
    assert IMAGES["vllm"].endswith("-v2.3") and "lmi20." in IMAGES["lmi"]
