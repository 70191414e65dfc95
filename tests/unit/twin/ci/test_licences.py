"""Licences: which are accepted, and how a missing one is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.ci.licences import DEPLOYABLES, Package, locked, packages, report
from twin.target.paths import ROOT


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_each_part_of_a_licence_needs_an_allowed_alternative(licence: str, allowed: bool) -> None:
    assert Package("made-up", licence).may_be_passed_on is allowed


def test_every_package_that_is_passed_on_has_an_allowed_licence() -> None:
    found = packages()
    assert {package.name for package in found} == {
        name for each in DEPLOYABLES for name in locked(ROOT / "requirements" / f"{each}.txt")
    }
    assert [package for package in found if not package.may_be_passed_on] == []
    assert {package.name: package.licence for package in found}["boto3"] == "Apache-2.0"
    assert sum(package.elsewhere for package in found) < 5
    assert "| MIT | " in report(found)


def test_a_package_that_is_not_installed_is_a_finding_unless_it_is_for_another_platform(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("one==1.0 \\\n    --hash=sha256:0\ntwo[extra]==2.0 ; sys_platform == 'win32' \\\n")
    assert locked(lock) == {"one": False, "two": True}
    assert not Package("one", "").may_be_passed_on
    assert Package("two", "", elsewhere=True).may_be_passed_on
