"""`python -m scripts.build_evaluation_layer`: the evaluation functions' Lambda layer, for ARM64.

Wheels of the lock file are unpacked for the platform of the functions, whatever this machine is; what the functions
never read is left out; the rest is compiled, because a Lambda cannot keep what it compiles. The layer also holds the
embedding model, where the functions look for it (a layer is unpacked into /opt).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts.build_embedding_model import ModelSourceError
from scripts.build_embedding_model import build as build_model
from twin.target.paths import EMBEDDING_MODEL, ROOT

OUT = ROOT / ".local" / "build" / "evaluation-layer"
MODEL_RECIPE = ("build_embedding_model.py", "minilm_graph.py")
LOCK = ROOT / "requirements" / "evaluation.txt"
STAMP = "built-from.json"
PYTHON = "3.14"
MACHINES = ("aarch64", "x86_64")
# Amazon Linux 2023, on which the runtimes from python3.12 on run, has glibc 2.34.
PLATFORM = "manylinux_2_28"
# Function and layers together, unzipped (AWS Lambda's quotas, "Deployment package size").
LIMIT_BYTES = 250 * 1024**2
SHIPPED_BESIDE = ("services/common", "services/evaluation", "services/guard")
AWS_SERVICES = (
    *("application-autoscaling", "bedrock-runtime", "cloudformation", "cloudwatch", "dynamodb", "lambda", "sagemaker"),
    *("sagemaker-runtime", "secretsmanager", "sns", "ssm", "stepfunctions", "sts"),
)
"""Services whose descriptions botocore keeps: those that a function makes a client of, and STS for credentials."""
# tokenizers asks for the hub's client to download by name; the functions load files only.
UNUSED_PACKAGES = ("bin", "hf_xet", "huggingface_hub", "fsspec", "filelock")
UNUSED_FILES = ("*.pyi", "*.c", "*.h", "*.a")


class LayerError(RuntimeError):
    """The layer cannot be built; the message says what to do."""


def build(out: Path, *, python: str = PYTHON, machine: str = MACHINES[0]) -> int:
    """Build the layer in `out` unless it is up to date; it appears whole or not at all. Returns its size in bytes.

    Args:
        out: the layer's folder; an older one is replaced.
        python: version of the functions' runtime; an interpreter of that version must be on this machine.
        machine: processor of the functions.

    Raises:
        LayerError: no such interpreter, a package without a wheel, or more than Lambda takes.
        ModelSourceError: the embedding model cannot be built.
    """
    made_from = json.dumps(stamp(python, machine)) + "\n"
    if (out / STAMP).is_file() and (out / STAMP).read_text(encoding="utf-8") == made_from:
        return size_of([out])
    interpreter = _interpreter(python)
    model = build_model(EMBEDDING_MODEL)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        fresh = Path(folder) / "fresh"
        packages = fresh / "python"
        _install(packages, python, machine)
        strip(packages)
        _run([str(interpreter), "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"], packages)
        shutil.copytree(model, fresh / "models" / EMBEDDING_MODEL.name)
        (fresh / STAMP).write_text(made_from, encoding="utf-8")
        size = size_of([fresh])
        refuse_too_much(size + size_of(ROOT / path for path in SHIPPED_BESIDE))
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    return size


def stamp(python: str, machine: str) -> dict[str, str]:
    """Inputs of a layer, by which an outdated one is recognised."""
    recipes = [ROOT / "scripts" / name for name in ("build_evaluation_layer.py", *MODEL_RECIPE)]
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in recipes)).hexdigest()
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return {"runtime": f"python{python}", "machine": machine, "lock": lock, "recipe": recipe}


def strip(packages: Path) -> None:
    """Remove what the functions never read; licences and metadata stay."""
    for name in UNUSED_PACKAGES:
        shutil.rmtree(packages / name, ignore_errors=True)
    for folder in [*packages.rglob("tests"), *packages.rglob("include")]:
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in UNUSED_FILES:
        for file in packages.rglob(pattern):
            file.unlink()
    for folder in (packages / "botocore" / "data").glob("*/"):
        if folder.name not in AWS_SERVICES:
            shutil.rmtree(folder)


def size_of(folders: Iterable[Path]) -> int:
    """Bytes of all files in the folders."""
    return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def refuse_too_much(size: int) -> None:
    """Raises LayerError when function and layer together are more than Lambda unpacks."""
    if size > LIMIT_BYTES:
        megabytes = size / 1024**2
        raise LayerError(f"Function and layer are {megabytes:.0f} MB, Lambda takes 250: leave out more packages.")


def _interpreter(version: str) -> Path:
    """An interpreter that compiles for the runtime: this machine's, else one that uv fetches."""
    uv = [sys.executable, "-m", "uv", "python"]
    find = [*uv, "find", "--no-project", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        subprocess.run([*uv, "install", "--quiet", version], capture_output=True, check=False)
        found = subprocess.run(find, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise LayerError(
            f"Python {version} is not on this machine and uv cannot fetch it, and nothing else compiles for it: "
            "install it, or choose another evaluation.runtime and give its version as --python."
        )
    return Path(found.stdout.strip())


def _install(target: Path, python: str, machine: str) -> None:
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target)]
    platform = ["--python-version", python, "--python-platform", f"{machine}-{PLATFORM}", "--only-binary", ":all:"]
    _run([*uv, *platform, "--require-hashes", "--no-deps", "--link-mode", "copy", "--requirement"], LOCK)


def _run(command: list[str], path: Path) -> None:
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LayerError(f"`{' '.join(command[1:5])} ...` failed: {(done.stderr or done.stdout).strip()[-500:]}")


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the Lambda layer of the evaluation functions.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the layer")
    parser.add_argument("--python", default=PYTHON, help="version of the functions' runtime (evaluation.runtime)")
    parser.add_argument("--machine", choices=MACHINES, default=MACHINES[0], help="processor of the functions")
    arguments = parser.parse_args()
    try:
        size = build(arguments.out, python=arguments.python, machine=arguments.machine)
    except (LayerError, ModelSourceError, OSError) as error:
        print(f"Layer not built: {error}", file=sys.stderr)
        return 1
    print(f"{arguments.out}: {size / 1024**2:.0f} MB of {LIMIT_BYTES // 1024**2}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
