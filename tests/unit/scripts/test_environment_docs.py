"""docs/environment.md says what the services read from their environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.environment_docs import FUNCTIONS, SERVICES, TARGET, Deployable, render

ROOT = Path(__file__).resolve().parents[3]
HANDLERS = sorted(path for path in ROOT.glob("services/*/handlers/*.py") if path.stem != "__init__")


def test_the_committed_page_is_up_to_date() -> None:
    assert TARGET.read_text() == render(), "run `make docs`"


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.stem)
def test_every_handler_is_named_with_its_module(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert f"`{module}.handler`" in render()


@pytest.mark.parametrize("deployable", [*SERVICES, *FUNCTIONS], ids=lambda each: each.title)
def test_every_variable_has_its_row(deployable: Deployable) -> None:
    section = render().partition(f"# {deployable.title}\n")[2].partition("\n#")[0]
    for name in deployable.settings.model_fields:
        assert f"\n| `{name.upper()}` |" in section


def test_bounds_and_secrets_are_described() -> None:
    page = render()
    assert "| `RETRIEVAL_TOP_K` | integer, 1 to 20 | `4` |" in page
    assert "| `QDRANT_API_KEY` | secret text; optional | none |" in page
