#!/bin/sh
# MiniStack 1.5.33 writes UPDATE_IN_PROGRESS and UPDATE_COMPLETE for every resource of a stack that is updated, also for
# those that stay as they are, and for a resource that the update adds. Progress that is counted from events, as the
# CDK's command line counts it, passes its own total. On AWS an update acts on what changes, and a new resource is
# created (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html).
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


def parameter(value):
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}


def template(**resources):
    return {"StackName": "shown", "TemplateBody": json.dumps({"Resources": resources})}


try:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=2)
            break
        except OSError:
            time.sleep(0.1)
    stacks = boto3.client(
        "cloudformation",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    stacks.create_stack(**template(Stays=parameter("a"), Changes=parameter("a")))
    stacks.get_waiter("stack_create_complete").wait(StackName="shown", WaiterConfig={"Delay": 1})
    known = {event["EventId"] for event in stacks.describe_stack_events(StackName="shown")["StackEvents"]}
    stacks.update_stack(**template(Stays=parameter("a"), Changes=parameter("b"), New=parameter("a")))
    stacks.get_waiter("stack_update_complete").wait(StackName="shown", WaiterConfig={"Delay": 1})
    told = [each for each in stacks.describe_stack_events(StackName="shown")["StackEvents"] if each["EventId"] not in known]
finally:
    server.terminate()
    server.wait(20)

seen = {
    name: sorted({event["ResourceStatus"] for event in told if event["LogicalResourceId"] == name})
    for name in ("Stays", "Changes", "New")
}
print(f"ministack {version('ministack')}")
for name, statuses in seen.items():
    print(f"events of {name} in the update: {', '.join(statuses) or 'none'}")
print("on AWS: none of Stays, and CREATE_IN_PROGRESS and CREATE_COMPLETE of New")
updated = ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS"]
sys.exit(0 if seen == {"Stays": updated, "Changes": updated, "New": updated} else 1)
PROGRAM
"$folder/venv/bin/python" "$folder/show.py"
