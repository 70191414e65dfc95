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
        "benchmark",
        "checkov",
        "dev",
        "embedding-build",
        "evaluation",
        "llm",
        "node",
        "rag",
        "tools",
        "uv",
    }
    for lock in locks:
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text, f"{lock.name} names an address"
    assert "resolved" not in (setup.ROOT / "package-lock.json").read_text()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout in which set-up has run."""
    root = tmp_path / "checkout"
    for name in ("pyproject.toml", "package-lock.json"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    (root / "scripts").mkdir()
    for name in ("setup.py", "build_embedding_model.py", "minilm_graph.py"):
        (root / "scripts" / name).write_text(name)
    at(root, monkeypatch)
    for path in (*(root / ".venv" / "bin" / name for name in ("twin", "node")), root / "node_modules" / ".bin" / "cdk"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    setup.EMBEDDING_MODEL.mkdir(parents=True)
    (setup.EMBEDDING_MODEL / "model.onnx").write_text("")
    setup.venv_python().symlink_to(sys.executable)
    (root / ".venv" / "pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = python3 -m venv {root / '.venv'}\n")
    setup.STAMP.write_text(setup.fingerprint())
    return root


def at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let set-up take `root` for its checkout."""
    monkeypatch.setattr(setup, "ROOT", root)
    monkeypatch.setattr(setup, "VENV", root / ".venv")
    monkeypatch.setattr(setup, "STAMP", root / ".venv" / ".setup-stamp")
    monkeypatch.setattr(setup, "EMBEDDING_MODEL", root / ".local" / "model")


def test_a_checkout_that_was_moved_is_set_up_anew(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(setup, "run", lambda _, *command: ran.append(command))
    assert setup.is_done()
    setup.create_environment()
    assert ran == []
    moved = done.rename(done.with_name("moved"))
    at(moved, monkeypatch)
    assert not setup.is_done()
    setup.create_environment()
    assert ran == [(sys.executable, "-m", "venv", "--without-pip", str(moved / ".venv"))]
    assert not (moved / ".venv").exists(), "its programs name a Python that is not there"


@pytest.mark.parametrize("name", ["twin", "node"])
def test_a_result_that_is_missing_is_made_anew(done: Path, name: str) -> None:
    (done / ".venv" / "bin" / name).unlink()
    assert not setup.is_done()


def test_set_up_needs_the_standard_library_only() -> None:
    program = f"import runpy; runpy.run_path({str(setup.ROOT / 'scripts' / 'setup.py')!r})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_imports_keep_to_the_map() -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=setup.ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
