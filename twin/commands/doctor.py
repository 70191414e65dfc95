"""`twin doctor`: what would fail later, said now."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import lifecycle
from scripts.node import OLDEST_NODE, find_node
from twin.project import EMBEDDING_MODEL, ROOT, STATE_ROOT, VENV

NEEDED_DISK_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, what was seen, and when it is wrong what mends it."""

    check: str
    ok: bool
    seen: str
    mend: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def doctor(stage: str) -> list[Finding]:
    """Every check of this machine and, for a stage on AWS, of the credentials."""
    findings = [_python(), _node(), _cdk(), _model(), _disk(), _ports()]
    return [*findings, _local_cloud()] if stage == "local" else [*findings, _credentials()]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer, then `make setup`")


def _node() -> Finding:
    node = find_node(VENV)
    if node is None:
        return Finding("Node", False, "none", "run `make setup`")
    seen = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout.strip()
    return Finding("Node", True, f"{seen} ({node})", f"install Node {OLDEST_NODE} or newer")


def _cdk() -> Finding:
    path = ROOT / "node_modules" / ".bin" / "cdk"
    return Finding("CDK command line", path.exists(), "installed" if path.exists() else "missing", "run `make setup`")


def _model() -> Finding:
    path = EMBEDDING_MODEL / "model.onnx"
    return Finding("Embedding model", path.exists(), "built" if path.exists() else "missing", "run `make setup`")


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free / 1024**3
    return Finding("Disk", free >= NEEDED_DISK_GB, f"{free:.1f} GB free", f"free {NEEDED_DISK_GB:.0f} GB")


def _ports() -> Finding:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("Loopback ports", False, str(error), "allow this user to listen on 127.0.0.1")
    return Finding("Loopback ports", True, "free ports can be taken")


def _local_cloud() -> Finding:
    try:
        state = lifecycle.status(STATE_ROOT)
    except lifecycle.LocalCloudError as error:
        return Finding("Local cloud", False, str(error), "run `make local-stop`")
    return Finding("Local cloud", True, "down" if state is None else f"up (pid {state.pid})")


def _credentials() -> Finding:
    mend = "set AWS_PROFILE, or run `aws sso login`"
    try:
        identity = boto3.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        return Finding("AWS credentials", False, str(error), mend)
    return Finding("AWS credentials", True, identity["Arn"])
