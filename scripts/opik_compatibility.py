"""The Opik suite of the collector against the pinned SDK, the newest ones, and a real Opik.

`.venv/bin/python -m scripts.opik_compatibility`; `make setup` comes first.

The newest SDKs are installed without dependencies into environments under `.local/venvs`, which see everything else
through the project's environment, which is left unchanged. A newer SDK that needs a package which the project lacks
fails by that package's name. Needs the package registry, and is therefore no part of `make test`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from twin.target.paths import ROOT

VENVS = ROOT / ".local" / "venvs"
SUITE = "tests/integration/opik"
SDK_TESTS = f"{SUITE}/test_sdk.py"
CLOUD = "https://www.comet.com/opik/api"
VERSION = "from importlib.metadata import version; print(version('opik'))"


def pinned() -> str:
    """The version of the SDK that is locked.

    Raises:
        LookupError: the lock names none.
    """
    found = re.search(r"^opik==([\d.]+)", (ROOT / "requirements" / "evaluation.txt").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("requirements/evaluation.txt locks no opik")
    return found[1]


def newest(kind: str, requirement: str) -> tuple[Path, str]:
    """The Python of an environment with the newest SDK that fits, made anew, and the SDK's version.

    Raises:
        subprocess.CalledProcessError: it cannot be made; uv has said why.
    """
    folder = VENVS / f"opik-{kind}"
    shutil.rmtree(folder, ignore_errors=True)
    uv = (sys.executable, "-m", "uv")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], cwd=ROOT, check=True)
    python = folder / "bin" / "python"
    # A line in a .pth file comes after the environment's own packages: only the SDK is another.
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("pip", "install", "--quiet", "--refresh-package", "opik", "--no-deps", "--python", str(python))
    subprocess.run([*uv, *install, requirement], cwd=ROOT, check=True)
    return python, subprocess.run([python, "-c", VERSION], check=True, capture_output=True, text=True).stdout.strip()


def passes(python: Path, tests: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether the tests pass under this Python."""
    command = [str(python), "-m", "pytest", tests, "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **(environment or {})}, check=False).returncode == 0


def real_server() -> dict[str, str] | None:
    """Variables that point the tests to a real Opik, from those of Opik's SDK; None when they name no server."""
    key, url = os.environ.get("OPIK_API_KEY", ""), os.environ.get("OPIK_URL_OVERRIDE", "")
    if not key and not url:
        return None
    return {
        "OPIK_CONTRACT_URL": url or CLOUD,
        "OPIK_CONTRACT_API_KEY": key,
        "OPIK_CONTRACT_WORKSPACE": os.environ.get("OPIK_WORKSPACE", "default"),
    }


def main() -> int:
    """Run everything that can be run here; 0 when all of it passed."""
    version = pinned()
    minor = ".".join(version.split(".")[:2])
    results = {f"pinned {version}": passes(Path(sys.executable), SUITE)}
    seen = {version}
    for kind, requirement in (("patch", f"opik~={version}"), ("minor", f"opik~={minor}")):
        python, found = newest(kind, requirement)
        if found in seen:
            print(f"The newest {kind} is {found}: nothing new to run.", flush=True)
            continue
        seen.add(found)
        results[f"newest {kind} {found}"] = passes(python, SUITE)
    server = real_server()
    if server is None:
        print("No real Opik: set OPIK_API_KEY (and OPIK_WORKSPACE), or OPIK_URL_OVERRIDE for a server of your own.")
    else:
        results[f"pinned {version} against {server['OPIK_CONTRACT_URL']}"] = passes(
            Path(sys.executable), SDK_TESTS, server
        )
    for name, passed in results.items():
        print(f"{'passed' if passed else 'FAILED'}: {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
