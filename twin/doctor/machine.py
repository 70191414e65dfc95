"""Checks of this machine: what `make setup` installs, disk, ports, the local cloud."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

from localcloud import lifecycle
from localcloud.errors import LocalCloudError
from localcloud.ports import free_port
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok
from twin.target.node import OLDEST_NODE, find_node
from twin.target.paths import EMBEDDING_MODEL, ROOT, STATE_ROOT, VENV

NEEDED_DISK_GB = 1.0
OLDEST_PYTHON = (3, 11)
NODE_SECONDS = 20.0


def _python(_: Context) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        yield ok("Python", version)
        return
    oldest = ".".join(map(str, OLDEST_PYTHON))
    yield failed(
        "Python", version, "the code needs a newer one", f"install Python {oldest} or newer, then `make setup`"
    )


def _node(_: Context) -> Iterator[Finding]:
    node = find_node(VENV)
    if node is None:
        yield failed(
            "Node", "none", "the CDK command line runs on Node", f"run `make setup`, or install {OLDEST_NODE}+"
        )
        return
    asked = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=NODE_SECONDS)
    yield ok("Node", f"{asked.stdout.strip()} ({node})")


def _cdk(_: Context) -> Iterator[Finding]:
    if (ROOT / "node_modules" / ".bin" / "cdk").exists():
        yield ok("CDK command line", "installed")
    else:
        yield failed("CDK command line", "missing", "it synthesizes and deploys the stacks", "run `make setup`")


def _embedding_model(_: Context) -> Iterator[Finding]:
    if (EMBEDDING_MODEL / "model.onnx").exists():
        yield ok("Embedding model", "built")
    else:
        yield failed("Embedding model", "missing", "documents and questions cannot be embedded", "run `make setup`")


def _disk(_: Context) -> Iterator[Finding]:
    free = shutil.disk_usage(ROOT).free / 1024**3
    if free >= NEEDED_DISK_GB:
        yield ok("Disk", f"{free:.1f} GB free")
    else:
        why = "templates, logs and the vector store could not be written"
        yield failed("Disk", f"{free:.1f} GB free", why, f"free {NEEDED_DISK_GB:.0f} GB")


def _ports(_: Context) -> Iterator[Finding]:
    try:
        free_port()
    except LocalCloudError as error:
        why = "every part of the local cloud listens on a port of 127.0.0.1"
        yield failed("Loopback ports", str(error), why, "allow this user to listen on 127.0.0.1")
        return
    yield ok("Loopback ports", "free ports can be taken")


def _local_cloud(_: Context) -> Iterator[Finding]:
    try:
        state = lifecycle.status(STATE_ROOT)
    except lifecycle.LocalCloudError as error:
        yield failed("Local cloud", str(error), "its state cannot be read", "run `make local-stop`")
        return
    yield ok("Local cloud", "down" if state is None else f"up (pid {state.pid})")


EVERYWHERE = (
    Check("Python", _python, needs=()),
    Check("Node", _node, needs=()),
    Check("CDK command line", _cdk, needs=()),
    Check("Disk", _disk, needs=()),
)
"""Checks for every stage."""
LOCAL = (
    Check("Embedding model", _embedding_model, needs=()),
    Check("Loopback ports", _ports, needs=()),
    Check("Local cloud", _local_cloud, needs=()),
)
"""Checks for stage `local`."""
