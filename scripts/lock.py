"""Recompile every lock file under requirements/ from pyproject.toml: versions and hashes, no registry address.

Run as `make lock`. Each deployable's lock is constrained by the development lock, so a version is tested where it is
developed before it is deployed.
"""

from __future__ import annotations

import subprocess
import sys

from twin.target.paths import ROOT

DEPLOYABLES = ("rag", "llm", "evaluation", "embedding-build")
COMPILE = (
    *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes", "--universal"),
    *("--python-version", "3.11", "--no-annotate", "--no-emit-index-url", "--no-header"),
)


def compile_lock(output: str, *arguments: str) -> None:
    """Write `requirements/<output>.txt`.

    Raises:
        subprocess.CalledProcessError: when the requirements cannot be resolved; uv has said why.
    """
    subprocess.run([*COMPILE, *arguments, "-o", f"requirements/{output}.txt"], cwd=ROOT, check=True)


def main() -> None:
    """Compile the development lock first, then what it constrains."""
    compile_lock("dev", "pyproject.toml", "--all-extras", "--group", "dev")
    for extra in DEPLOYABLES:
        compile_lock(extra, "pyproject.toml", "--extra", extra, "-c", "requirements/dev.txt")
    compile_lock("benchmark", "--group", "pyproject.toml:benchmark")
    for tool in ("uv", "node", "audit", "checkov"):
        compile_lock(tool, f"requirements/{tool}.in")


if __name__ == "__main__":
    main()
