"""Tests whose programs are missing: skipped with a word at the end, failed in CI; and what installs the programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import INSTALL

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
SUITE = """
from tests.programs import CHROMIUM, PROMTOOL, path_of

def test_a_page(pytestconfig): path_of(CHROMIUM, pytestconfig)

def test_another_page(pytestconfig): path_of(CHROMIUM, pytestconfig)

def test_rules(pytestconfig): path_of(PROMTOOL, pytestconfig)

def test_nothing(): pass
"""


def run_suite(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of four tests, two workers, where no program is on the path."""
    (folder / "test_suite.py").write_text(SUITE, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in ("CHROMIUM_PATH", "CI")}
    plugins = ("-p", "xdist", "-p", "tests.programs", "-n", "2")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-c", os.devnull, "--rootdir", ".", *plugins, "test_suite.py"],
        cwd=folder,
        env={
            **kept,
            "PATH": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_one_line_says_what_was_not_tested_and_what_brings_it(tmp_path: Path) -> None:
    done = run_suite(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, said, closing = done.stdout.splitlines()
    assert said == (
        "Not tested: Prometheus rules and dashboard (1 test), browser pages (2 tests). "
        f"`{INSTALL}` brings what they need."
    )
    assert "1 passed, 3 skipped" in closing
    assert "SKIPPED" not in done.stdout
    assert os.access(ROOT / INSTALL, os.X_OK)


def test_in_ci_a_missing_program_is_a_failure(tmp_path: Path) -> None:
    done = run_suite(tmp_path, CI="true")
    assert done.returncode == 1
    assert f"Chromium is not installed: `{INSTALL}` installs it" in done.stdout
    assert "1 passed, 3 failed" in done.stdout or "3 failed, 1 passed" in done.stdout
    assert "Not tested" not in done.stdout


def install(folder: Path, *commands: str, fails: str = "no") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the installer where only the named commands exist; gives the calls of apt-get as well."""
    for name in ("sh", "id", "mktemp", "rm", "tail", "env"):
        (folder / name).symlink_to(shutil.which(name) or name)
    calls = folder / "calls"
    script = f"""#!/bin/sh\necho "$@" >> {calls}\n[ "$1" != {fails} ] || {{ echo "no {fails}"; exit 100; }}\n"""
    for name in commands:
        (folder / name).write_text(script if name == "apt-get" else 'exec "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / INSTALL], env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60, check=False
    )
    return done, calls.read_text().splitlines() if calls.exists() else []


def test_the_installer_brings_only_what_is_missing(tmp_path: Path) -> None:
    done, calls = install(tmp_path, "apt-get", "sudo", "google-chrome")
    assert done.returncode == 0, done.stderr
    assert calls == ["update", "install --yes --no-install-recommends prometheus"]


def test_the_installer_does_nothing_where_both_are_there(tmp_path: Path) -> None:
    done, calls = install(tmp_path, "apt-get", "sudo", "chromium", "prometheus", "promtool")
    assert (done.returncode, done.stdout, calls) == (0, "", [])


@pytest.mark.parametrize("step", ["update", "install"])
def test_the_installer_says_why_it_failed(tmp_path: Path, step: str) -> None:
    done, _ = install(tmp_path, "apt-get", "sudo", fails=step)
    assert done.returncode == 1
    assert f"no {step}" in done.stderr
    assert "apt-get could not install chromium-headless-shell prometheus" in done.stderr


def test_the_installer_names_what_to_install_where_there_is_no_apt(tmp_path: Path) -> None:
    done, _ = install(tmp_path, "promtool")
    assert done.returncode == 1
    assert "No apt-get on this machine: install chromium-headless-shell prometheus another way" in done.stderr
