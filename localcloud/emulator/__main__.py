"""`python -m localcloud.emulator --host H --port N --data DIR`: the emulator until it is told to stop."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Set MiniStack's environment, install the plugin, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.data.mkdir(parents=True, exist_ok=True)
    os.environ.update(environment(arguments.host, arguments.port, arguments.data))
    # MiniStack reads its environment at import.
    from localcloud.emulator.plugin import install
    from localcloud.emulator.server import serve

    install(arguments.port)
    serve(arguments.host, arguments.port, os.environ["LOG_LEVEL"])


def environment(host: str, port: int, data: Path) -> dict[str, str]:
    """What MiniStack and the Lambdas that it runs get: loopback only, no Docker, no metadata service."""
    return {
        "BIND_HOST": host,
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        # Services with ports of their own, which two local clouds would fight over.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(_made(data / "tmp")),
        "STATE_DIR": str(_made(data / "state")),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


if __name__ == "__main__":
    main()
