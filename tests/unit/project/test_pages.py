"""The documentation as a whole: every page is in the index, links and paths lead somewhere, lines stay readable."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from services.rag.api.protocol.schemas import RagRequest

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SOURCE_PATH = re.compile(
    r"`((?:\.github|benchmarks|docs|examples|images|infra|localcloud|observability|scripts|services|tests|twin)/[\w./-]*)`"
)
PLACEHOLDER = re.compile(r"\b[A-Z]+\b")
WRITTEN_BY_OPERATORS = {"observability/prometheus/llm-twin.key"}
SPAN = re.compile(r"`[^`]*`")
LONGEST_LINE = 160
LONGEST_README = 90


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_lists_every_page_once() -> None:
    listed = Counter(
        link.partition("#")[0]
        for link in LINK.findall((DOCS / "index.md").read_text(encoding="utf-8"))
        if not link.startswith("..")
    )
    assert listed == Counter(page.name for page in DOCS.glob("*.md") if page.name != "index.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    for link in LINK.findall(SPAN.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    named = {path for path in SOURCE_PATH.findall(page.read_text(encoding="utf-8")) if not PLACEHOLDER.search(path)}
    assert {path for path in named - WRITTEN_BY_OPERATORS if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_outside_of_tables_stay_readable(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    assert [number for number, line in lines if len(line) > LONGEST_LINE and not line.startswith("|")] == []


def test_the_page_on_the_api_lists_every_field_of_a_question() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    assert [name for name in RagRequest.model_fields if f"\n| `{name}`" not in page] == []


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < LONGEST_README
