"""`python -m localcloud.emulator --host H --port N --data DIR`: the emulator, until SIGTERM or SIGINT.

Its environment names the root key that callers sign with: `LOCALCLOUD_ACCESS_KEY_ID`, `LOCALCLOUD_SECRET_ACCESS_KEY`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from localcloud.account import Credentials, server_credentials
from localcloud.aws_time import check_settings
from localcloud.errors import LocalCloudError
from localcloud.ports import LOOPBACK


def main() -> None:
    """Set MiniStack's environment, install the plugin, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        credentials = server_credentials(os.environ)
        check_settings()
    except LocalCloudError as error:
        sys.exit(f"Error: {error}")
    arguments.data.mkdir(parents=True, exist_ok=True)
    os.environ.update(environment(arguments.host, arguments.port, arguments.data, credentials))
    os.environ.pop("AWS_SESSION_TOKEN", None)
    # MiniStack reads its environment at import.
    from localcloud.emulator.plugin import install
    from localcloud.emulator.rules.enforcement import Rules, rules_in_force
    from localcloud.emulator.server import serve

    try:
        rules = Rules(rules_in_force())
    except ValueError as error:
        sys.exit(f"Error: {error}")
    install(arguments.port, credentials, rules)
    serve(arguments.host, arguments.port, os.environ["LOG_LEVEL"], rules)


def environment(host: str, port: int, data: Path, credentials: Credentials) -> dict[str, str]:
    """Environment of MiniStack and of the Lambda functions that it runs: loopback, no Docker, no metadata service.

    Args:
        host: address to listen on.
        port: port to listen on, and of the endpoint that functions call.
        data: folder for temporary files and for persisted state; both folders are created.
        credentials: the root key, with which functions and resource types call the emulator.
    """
    return {
        "BIND_HOST": host,
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "AUTH": "true",
        # Services with fixed ports, of which only one local cloud could run at a time.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(_create_folder(data / "tmp")),
        "STATE_DIR": str(_create_folder(data / "state")),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        **credentials.variables(),
    }


def _create_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


if __name__ == "__main__":
    main()
