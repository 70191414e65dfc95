"""Lambda functions for the emulator: a handler's source, zipped or as a resource."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from typing import Any

import boto3

from tests.aws import KEYS
from tests.integration.emulator.cases import ROLE

RUNTIME = "python3.11"
HANDLER = "index.handler"


def deploy(client: Any, name: str, source: str, timeout: int = 30) -> str:
    """Create a Python function whose `handler` is in `source`, and its role; returns its ARN."""
    make_role(boto3.client("iam", endpoint_url=client.meta.endpoint_url, region_name="us-east-1", **KEYS))
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


def make_role(iam: Any, **principal: str) -> None:
    """Make the role `ROLE`, which anybody or one principal may take, unless there is one; it may do nothing."""
    trusted = {"Effect": "Allow", "Principal": principal or {"AWS": "*"}, "Action": ["sts:AssumeRole"]}
    if "Federated" in principal:
        trusted["Action"] = ["sts:AssumeRoleWithWebIdentity"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    name = ROLE.rpartition("/")[2]
    if name in {each["RoleName"] for each in iam.list_roles()["Roles"]}:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    else:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)


def function(source: str) -> dict[str, Any]:
    """The resource of a Python function whose `handler` is in `source`."""
    code = {"ZipFile": textwrap.dedent(source)}
    properties = {"Runtime": RUNTIME, "Handler": HANDLER, "Role": ROLE, "Timeout": 60, "Code": code}
    return {"Type": "AWS::Lambda::Function", "Properties": properties}
