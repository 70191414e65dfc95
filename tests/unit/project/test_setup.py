"""Set-up refuses early and in one sentence."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from scripts import setup

Usage = namedtuple("Usage", "total used free")


def test_an_old_python_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    with pytest.raises(setup.SetupError, match=r"Python 3\.11 or newer is needed, this is 3\.10\.4"):
        setup.check_machine()


def test_a_full_disk_is_named_before_anything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 9, 1))
    with pytest.raises(setup.SetupError, match=r"needs 3 GB of free disk"):
        setup.check_machine()


def test_a_failing_step_shows_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(setup, "LOGS", tmp_path)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    with pytest.raises(setup.SetupError, match=r"(?s)exit 3.*no such registry"):
        setup.run("packages", sys.executable, "-c", "import sys; print('no such registry'); sys.exit(3)")


@pytest.mark.parametrize(
    ("version", "enough"), [("22.0.2", False), ("22.3", True), ("26.3.1", True), ("23.2rc1", True)]
)
def test_a_pip_before_22_3_is_not_asked_to_install_elsewhere(
    monkeypatch: pytest.MonkeyPatch, version: str, enough: bool
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: version)
    assert setup.pip_installs_elsewhere() is enough


def test_a_python_without_pip_is_set_up_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup, "run", lambda _, *command: ran.append(command))
    monkeypatch.setattr("importlib.metadata.version", missing)
    setup.install_python_packages()
    inside = str(setup.venv_python())
    assert ran[0] == (inside, "-m", "ensurepip")
    assert ran[1][:4] == (inside, "-m", "pip", "install")


def missing(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


def test_locks_carry_hashes_and_no_registry_address() -> None:
    locks = sorted((setup.ROOT / "requirements").glob("*.txt"))
    assert {lock.stem for lock in locks} == {
        "audit",
        "benchmark",
        "checkov",
        "dev",
        "embedding-build",
        "evaluation",
        "llm",
        "node",
        "rag",
        "uv",
    }
    for lock in locks:
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text, f"{lock.name} names an address"
    assert "resolved" not in (setup.ROOT / "package-lock.json").read_text()


def test_imports_keep_to_the_map() -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=setup.ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
