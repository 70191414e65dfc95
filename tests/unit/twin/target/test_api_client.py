"""The client's reading of Server-Sent Events."""

from __future__ import annotations

import pytest

from twin.target.api_client import _events
from twin.target.errors import TwinError


def test_events_are_split_at_blank_lines_and_comments_are_ignored() -> None:
    lines = [": ping", "event: token", 'data: {"text": "Hel"}', "", "event: token", 'data: {"text": "lo"}', "", ""]
    assert [(e.name, e.data) for e in _events(iter(lines))] == [("token", {"text": "Hel"}), ("token", {"text": "lo"})]


def test_an_error_event_is_raised_with_the_services_sentence() -> None:
    lines = ["event: error", 'data: {"error": {"code": "model_failed", "message": "The model broke off."}}', ""]
    with pytest.raises(TwinError, match=r"The model broke off\."):
        list(_events(iter(lines)))
