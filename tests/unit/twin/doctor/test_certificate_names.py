"""Which domains a certificate's name is for."""

from __future__ import annotations

import pytest

from twin.doctor.certificate import covers


@pytest.mark.parametrize(
    ("name", "domain", "covered"),
    [
        ("twin.example.com", "twin.example.com", True),
        ("*.example.com", "twin.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.twin.example.com", False),
        ("example.com", "twin.example.com", False),
    ],
)
def test_a_star_stands_for_one_label(name: str, domain: str, covered: bool) -> None:
    assert covers(name, domain) is covered
