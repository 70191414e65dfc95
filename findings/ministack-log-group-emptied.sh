#!/bin/sh
# MiniStack 1.5.33 lets a stack create a log group whose name exists, and the streams that were in the group are gone. On
# AWS the creation fails because the group already exists, the stack rolls back, and the group keeps what it holds
# (https://github.com/aws/aws-cdk/issues/32689).
#
# Needs Python 3.11 or newer and access to PyPI. Exits with 1 when the behaviour is another one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "ministack==1.5.33" "boto3==1.43.106"
cat > "$folder/show.py" <<'PROGRAM'
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version

import boto3

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = str(probe.getsockname()[1])
environment = {**os.environ, "GATEWAY_PORT": port, "BIND_HOST": "127.0.0.1", "LOG_LEVEL": "ERROR", "LAMBDA_EXECUTOR": "local"}
server = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


try:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2)
            break
        except OSError:
            time.sleep(0.1)
    where = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    logs, stacks = (boto3.client(name, **where, **keys) for name in ("logs", "cloudformation"))
    logs.create_log_group(logGroupName="/kept")
    logs.create_log_stream(logGroupName="/kept", logStreamName="lines")

    def streams():
        return [each["logStreamName"] for each in logs.describe_log_streams(logGroupName="/kept")["logStreams"]]

    before = streams()
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/kept"}}
    stacks.create_stack(StackName="shown", TemplateBody=json.dumps({"Resources": {"Group": group}}))
    for _ in range(100):
        status = stacks.describe_stacks(StackName="shown")["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS"):
            break
        time.sleep(0.1)
    after = streams()
finally:
    server.terminate()
    server.wait(20)

print(f"ministack {version('ministack')}")
print(f"streams of the group before: {before}")
print(f"a stack that declares the group: {status}; streams after: {after}")
print(f"on AWS: ROLLBACK_COMPLETE, and {before}")
sys.exit(0 if (before, status, after) == (["lines"], "CREATE_COMPLETE", []) else 1)
PROGRAM
"$folder/venv/bin/python" "$folder/show.py"
