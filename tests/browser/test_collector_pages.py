"""The collector's pages as a person uses them: a real collector process, filled over its API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.collector import EVIL, Filled, fill
from tests.browser.contrast import contrasts, overflow
from tests.integration.opik.conftest import Collector

LEAST_CONTRAST = 4.5
MINUS = "\N{MINUS SIGN}"
DESKTOP = {"width": 1280, "height": 900}
# The narrowest that is in use.
PHONE = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    collector = Collector(tmp_path_factory.mktemp("collector"))
    collector.start()
    yield fill(collector.url)
    collector.stop()


@pytest.fixture
def page(new_page: Callable[..., Page], filled: Filled) -> Page:
    return new_page(filled.url, viewport=DESKTOP)


def field(page: Page, name: str) -> Locator:
    """A control of a form; its label's text goes on with the choices."""
    return page.locator(f"main [name={name}]")


def _paths(filled: Filled) -> list[str]:
    pair = "&".join(f"id={id}" for id in filled.experiments.values())
    return [
        "/",
        f"/traces/{filled.failed}",
        f"/traces/{filled.evil}",
        "/experiments",
        f"/experiments/{filled.experiments['candidate']}",
        f"/experiments/compare?{pair}",
        "/scores",
        "/datasets",
        f"/datasets/{filled.dataset}",
        "/prompts",
        f"/prompts/{filled.prompt}",
    ]


def test_traces_are_filtered_and_paged(page: Page) -> None:
    page.goto("/")
    rows = page.get_by_role("table", name="Traces").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Last").first.click()
    expect(page.get_by_text("Traces 151 to 192 of 192").first).to_be_visible()
    field(page, "text").fill("STEP 10 so")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("failed")
    page.get_by_role("link", name="Clear").click()
    field(page, "name").select_option("generate")
    field(page, "score").select_option("groundedness")
    field(page, "order").select_option("lowest")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("of 71").first).to_be_visible()
    expect(rows.first).to_contain_text("0.400")
    page.get_by_role("link", name="Next").first.click()
    expect(field(page, "score")).to_have_value("groundedness")
    expect(rows).to_have_count(21)


def test_a_trace_shows_where_its_time_went_and_what_failed(page: Page, filled: Filled) -> None:
    page.goto(f"/traces/{filled.failed}")
    expect(page.get_by_role("region", name="Error")).to_contain_text("no token in 30 s")
    expect(page.get_by_role("region", name="Input")).to_contain_text("step 10")
    expect(page.get_by_role("region", name="Feedback scores", exact=True).first).to_contain_text("seen in the sources")
    steps = page.get_by_role("region", name="Steps").get_by_role("listitem")
    expect(steps).to_have_text(
        [re.compile(name) for name in ("generate", "retriever", "prompt", r"call_llm_service\s+failed")]
    )
    places = [bar.bounding_box() for bar in steps.locator("rect").all()]
    begins = [box["x"] for box in places if box]
    ends = [box["x"] + box["width"] for box in places if box]
    assert begins[0] < begins[1] < begins[2] < begins[3]
    assert ends[1] == pytest.approx(begins[2], abs=2) and ends[3] < ends[0] + 1
    retriever = steps.nth(1)
    expect(retriever.get_by_text('"found": 3')).to_be_hidden()
    retriever.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(retriever.get_by_text('"found": 3')).to_be_visible()


def test_experiments_are_chosen_and_compared_worst_item_first(page: Page, filled: Filled) -> None:
    page.goto("/experiments")
    page.get_by_role("button", name="Compare selected").click()
    expect(page.get_by_text("Select 2 to 6 experiments to compare.")).to_be_visible()
    page.goto("/experiments")
    for name in filled.experiments:
        page.get_by_role("checkbox", name=f"Compare {name}").check()
    page.get_by_role("button", name="Compare selected").click()
    means = page.get_by_role("region", name="Means").first
    expect(means.get_by_role("row", name=re.compile("^groundedness"))).to_contain_text("0.739 +0.039 better")
    expect(means.get_by_role("row", name=re.compile("^hallucination"))).to_contain_text(f"{MINUS}0.100 better")
    first = page.get_by_role("region", name="Items").get_by_role("listitem").first
    expect(first).to_contain_text("Question 3?")
    expect(first).to_contain_text(f"{MINUS}0.600 worse")
    field(page, "baseline").select_option("candidate")
    page.get_by_role("button", name="Apply").click()
    expect(means.get_by_role("row", name=re.compile("^groundedness"))).to_contain_text(f"{MINUS}0.039 worse")
    page.get_by_role("link", name="Trace in baseline").first.click()
    expect(page.get_by_role("term").filter(has_text="Experiments")).to_be_visible()
    expect(page.get_by_role("link", name="baseline")).to_have_attribute(
        "href", f"/experiments/{filled.experiments['baseline']}"
    )


def test_scores_are_plotted_over_time_and_lead_to_the_answers(page: Page, filled: Filled) -> None:
    page.goto("/scores")
    plot = page.get_by_role("group", name="groundedness over time")
    marks = plot.get_by_role("link")
    # By both models on each of twelve or thirteen calendar days; judged copies of experiments are not counted again.
    assert 24 <= marks.count() <= 26
    expect(page.get_by_role("list", name="Models")).to_contain_text("qwen/large")
    marks.first.focus()
    page.keyboard.press("Enter")
    expect(field(page, "order")).to_have_value("lowest")
    expect(page.get_by_text(re.compile("Traces 1 to [1-6] of [1-6]$")).first).to_be_visible()
    page.goto("/scores?by=experiment&metric=hallucination")
    expect(page.get_by_role("group")).to_have_count(1 + page.locator("details").count())
    page.get_by_role("link", name=re.compile("candidate.*mean 0.100")).first.click()
    expect(page.get_by_role("heading", name="Experiment candidate")).to_be_visible()


def test_datasets_and_prompts_are_read(page: Page, filled: Filled) -> None:
    page.goto(f"/datasets/{filled.dataset}")
    expect(page.get_by_text("Items 1 to 25 of 60").first).to_be_visible()
    field(page, "text").fill("Answer 17.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text(["Question 17?"])
    page.goto(f"/prompts/{filled.prompt}")
    expect(page.get_by_role("deletion")).to_have_text(["Answer {{question}} from the sources."])
    expect(page.get_by_role("insertion").first).to_have_text("Answer {{question}} from the sources only.")
    expect(page.get_by_role("insertion").first.locator("mark")).to_have_text(" only")
    field(page, "old").select_option(index=0)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("These versions have the same text.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_legible(scheme: str, new_page: Callable[..., Page], filled: Filled) -> None:
    page = new_page(filled.url, viewport=DESKTOP, color_scheme=scheme)
    for path in _paths(filled):
        page.goto(path)
        found = contrasts(page)
        assert len(found) > 5
        assert [(path, text) for text in found if text["contrast"] < LEAST_CONTRAST] == []


def test_a_phone_shows_every_page_without_scrolling_sideways(new_page: Callable[..., Page], filled: Filled) -> None:
    page = new_page(filled.url, viewport=PHONE, is_mobile=True, has_touch=True)
    for path in _paths(filled):
        page.goto(path)
        assert (path, max(0, overflow(page))) == (path, 0)


def test_pages_keep_text_as_text_have_landmarks_and_can_be_walked_by_keyboard(page: Page, filled: Filled) -> None:
    for path in _paths(filled):
        page.goto(path)
        # What callers wrote: markup, in names, answers and tags.
        assert page.locator("script, img, [style], main [onerror]").count() == 0
        expect(page.get_by_role("main")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Pages", exact=True).locator("[aria-current=page]")).to_have_count(1)
        unnamed = "[...document.querySelectorAll('input:not([type=hidden]), select')].filter((c) => !c.labels.length)"
        assert page.evaluate(f"{unnamed}.length") == 0
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.goto(f"/traces/{filled.evil}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Trace {EVIL}")
