"""Converts a saved web page to Markdown, and reads its title, author, address and date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup, Tag
from markdownify import MarkdownConverter

from services.rag.ingest.clean import clean, iso_date, web_url

_NEVER_TEXT = "script, style, noscript, template, iframe, object, embed, svg, canvas, form, button, dialog, head"
_AROUND_TEXT = (
    "nav, footer, aside, [role=navigation], [role=banner], [role=contentinfo], [role=complementary], [role=search], "
    "[hidden], [aria-hidden=true]"
)
_AUTHOR = ("author", "article:author", "dc.creator", "twitter:creator")
_DATE = ("article:published_time", "date", "dc.date", "datepublished", "publish_date", "pubdate")
_MIN_CONTENT = 40
_OPENING = re.compile(r"<[a-zA-Z](?![^<>]*/>)")
_CLOSING = re.compile(
    r"</[a-zA-Z]|<(?:br|img|hr|input|link|meta|source|wbr|area|base|col|embed|param|track)\b(?![^<>]*/>)"
)
# The parser's time grows with the square of the depth; it cannot follow a fifth of this anyway.
_MAX_OPEN = 5000
# Some calls each, of the thousand that Python allows.
_MAX_DEPTH = 150


class PageError(ValueError):
    """A page that cannot be read; the message says why."""


@dataclass(frozen=True)
class Page:
    """A page's text as Markdown, and its fields (empty when it does not name them)."""

    title: str
    author: str
    url: str
    date: str
    text: str


def read_page(html: str) -> Page:
    """The content of the page's `main` or `article` (else its body) without scripts, navigation and footers.

    Raises:
        PageError: its elements are nested deeper than the parser can follow.
    """
    if len(_OPENING.findall(html)) - len(_CLOSING.findall(html)) > _MAX_OPEN:
        raise PageError("elements are nested too deeply")
    soup = BeautifulSoup(html, "html.parser")
    if _depth(soup) > _MAX_DEPTH:
        raise PageError("elements are nested too deeply")
    return Page(**_fields(soup), text=_markdown(soup))


def _depth(soup: BeautifulSoup) -> int:
    """How deep elements nest, computed without recursion, which the conversion to Markdown uses."""
    depths = {id(soup): 0}
    for element in soup.descendants:
        depths[id(element)] = depths[id(element.parent)] + 1
    return max(depths.values())


def _fields(soup: BeautifulSoup) -> dict[str, str]:
    named: dict[str, str] = {}
    for meta in soup.find_all("meta"):
        name = str(meta.get("name") or meta.get("property") or meta.get("itemprop") or "").lower()
        if name and (content := str(meta.get("content") or "").strip()):
            named.setdefault(name, content)
    canonical = soup.select_one("link[rel~=canonical][href]")
    url = str(canonical["href"]) if canonical else named.get("og:url", "")
    heading, title, time = soup.find("h1"), soup.find("title"), soup.select_one("time[datetime]")
    titles = (named.get("og:title"), _words(title), _words(heading))
    dates = [*(named.get(name, "") for name in _DATE), str(time["datetime"]) if time else ""]
    return {
        "title": next((found for found in titles if found), ""),
        "author": next((named[name] for name in _AUTHOR if name in named and "://" not in named[name]), ""),
        "url": web_url(url),
        "date": next((day for value in dates if value and (day := iso_date(value))), ""),
    }


def _markdown(soup: BeautifulSoup) -> str:
    for selector in (_NEVER_TEXT, _AROUND_TEXT):
        for element in soup.select(selector):
            element.decompose()
    for image in soup.find_all("img"):
        image.replace_with(str(image.get("alt") or ""))
    return clean(_Converter(heading_style="ATX", bullets="-", strip=["a"]).convert_soup(_content(soup)))


def _content(soup: BeautifulSoup) -> Any:
    """The largest `main` or `article`; a page that only lists articles in its body has no single one."""
    for selector in ("main, [role=main]", "article"):
        found = soup.select(selector)
        sized = sorted(found, key=lambda element: len(element.get_text()))
        if sized and len(sized[-1].get_text(strip=True)) >= _MIN_CONTENT:
            return sized[-1]
    body = soup.body or soup
    if isinstance(body, Tag):
        for header in body.find_all("header", recursive=False):
            header.decompose()  # the site's; an article's own is inside the article
    return body


def _words(element: Any) -> str:
    return " ".join(element.get_text().split()) if element is not None else ""


class _Converter(MarkdownConverter):
    """Converts code blocks to fences with the language of the page's highlighter."""

    def convert_pre(self, el: Any, text: str, parent_tags: Any) -> str:
        classes = [str(name) for found in (el, *el.find_all("code")) for name in found.get("class") or ()]
        language = next(
            (name.split("-", 1)[1] for name in classes if name.startswith(("language-", "lang-", "highlight-"))), ""
        )
        return f"\n\n```{language}\n{el.get_text().strip(chr(10))}\n```\n\n"
