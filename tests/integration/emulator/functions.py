"""Lambda functions for the emulator: a handler's source, zipped or as a resource."""

from __future__ import annotations

import io
import textwrap
import zipfile
from typing import Any

from tests.integration.emulator.cases import ROLE

RUNTIME = "python3.11"
HANDLER = "index.handler"


def deploy(client: Any, name: str, source: str, timeout: int = 30) -> str:
    """Create a Python function whose `handler` is in `source`; returns its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", textwrap.dedent(source))
    made = client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Handler=HANDLER,
        Role=ROLE,
        Timeout=timeout,
        Code={"ZipFile": packed.getvalue()},
    )
    return str(made["FunctionArn"])


def function(source: str) -> dict[str, Any]:
    """The resource of a Python function whose `handler` is in `source`."""
    code = {"ZipFile": textwrap.dedent(source)}
    properties = {"Runtime": RUNTIME, "Handler": HANDLER, "Role": ROLE, "Timeout": 60, "Code": code}
    return {"Type": "AWS::Lambda::Function", "Properties": properties}
