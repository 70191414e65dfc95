"""Workers get whole modules, and the modules of a group together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TESTS = "import pytest\n\n@pytest.mark.parametrize('n', range(8))\ndef test_it(n): pass\n"
MARK = "pytestmark = pytest.mark.xdist_group('pair')\n"
LINE = re.compile(r"^\[(gw\d)\].* PASSED (test_\w+)\.py", re.MULTILINE)


def test_a_module_and_a_group_each_stay_on_one_worker(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / f"test_{name}.py").write_text(TESTS + (MARK if name in "aef" else ""), encoding="utf-8")
    plugins = ("-p", "xdist", "-p", "tests.worker_groups", "-n", "3")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-c", os.devnull, "--rootdir", ".", *plugins, "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "48 passed" in done.stdout, done.stdout + done.stderr
    workers: dict[str, set[str]] = defaultdict(set)
    for worker, module in LINE.findall(done.stdout):
        workers[module].add(worker)
    assert len(workers) == 6
    assert {len(of_module) for of_module in workers.values()} == {1}
    assert workers["test_a"] == workers["test_e"] == workers["test_f"]
    assert len(set.union(*workers.values())) > 1
