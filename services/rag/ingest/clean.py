"""One normal form for text, code and dates, however they were written."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from email.utils import parsedate_to_datetime

from services.common.text import without_control_characters

_BLANK_LINES = re.compile(r"\n{3,}")
_FIELD = re.compile(r"^([A-Za-z_]+):\s*(.*)$")
_DATE_FORMATS = ("%Y/%m/%d", "%d.%m.%Y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y")


def clean(text: str) -> str:
    """Markdown in one normal form: NFC, Unix line ends, no comments, control characters or runs of blank lines."""
    text = _without_comments(unicodedata.normalize("NFC", _plain(text)))
    return _BLANK_LINES.sub("\n\n", _stripped(text)).strip()


def clean_code(text: str) -> str:
    """Source code with Unix line ends and without control characters; what it says, comments too, stays."""
    return _stripped(_plain(text)).strip("\n")


def split_front_matter(raw: str) -> tuple[dict[str, str], str]:
    """Fields of a leading `---` block (`key: value` lines, quotes optional), and the rest of the text."""
    lines = raw.lstrip("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, raw
    for end, line in enumerate(lines[1:], 1):
        if line.strip() == "---":
            fields = {}
            for entry in lines[1:end]:
                if match := _FIELD.match(entry.strip()):
                    fields[match.group(1).lower()] = match.group(2).strip().strip("\"'")
            return fields, "\n".join(lines[end + 1 :])
    return {}, raw  # never closed: it is a rule, not front matter


def plain_field(value: str) -> str:
    """A title, a name or an address on one line, without control characters."""
    return " ".join(_plain(value).split())


def web_url(value: str) -> str:
    """An http(s) address; empty for any other, which a page would offer as a link all the same."""
    address = plain_field(value)
    return address if address.lower().startswith(("http://", "https://")) and " " not in address else ""


def iso_date(value: str) -> str:
    """The day in a written date (ISO 8601, RFC 2822 and common long forms) as YYYY-MM-DD; empty when it names none."""
    value = value.strip()
    try:
        return datetime.fromisoformat(value).date().isoformat()
    except ValueError:
        pass
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(value, form).date().isoformat()
        except ValueError:
            continue
    try:
        found: date = parsedate_to_datetime(value).date()
    except (ValueError, TypeError, IndexError):
        return ""
    return found.isoformat()


def _without_comments(text: str) -> str:
    """The text without HTML comments; one that is never closed is text."""
    kept: list[str] = []
    place = 0
    while (start := text.find("<!--", place)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[place:start])
        place = end + 3
    return "".join((*kept, text[place:]))


def _plain(text: str) -> str:
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return without_control_characters(text)


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n"))
