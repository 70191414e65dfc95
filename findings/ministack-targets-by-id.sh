#!/bin/sh
# MiniStack 1.5.33 identifies a load balancer's target by its Id alone. Registering a second port of an address is
# answered with success and ignored; deregistering one port takes every port of the address away. On AWS a target is
# its Id with its port: both ports are registered, and the other one stays
# (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html).
#
# Needs Python 3.11 or newer and access to PyPI. Exits with 1 when the behaviour is another one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "ministack==1.5.33" "boto3==1.43.106"
cat > "$folder/show.py" <<'PROGRAM'
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
    balancing = boto3.client(
        "elbv2",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    made = balancing.create_target_group(Name="tasks", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip")
    group = made["TargetGroups"][0]["TargetGroupArn"]

    def targets():
        described = balancing.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return sorted((each["Target"]["Id"], each["Target"]["Port"]) for each in described)

    old, new = {"Id": "10.0.0.1", "Port": 8001}, {"Id": "10.0.0.1", "Port": 8002}
    balancing.register_targets(TargetGroupArn=group, Targets=[old])
    balancing.register_targets(TargetGroupArn=group, Targets=[new])
    both = targets()
    balancing.deregister_targets(TargetGroupArn=group, Targets=[new])
    left = targets()
finally:
    server.terminate()
    server.wait(20)

print(f"ministack {version('ministack')}")
print(f"registered 10.0.0.1:8001, then 10.0.0.1:8002; listed: {both}")
print(f"deregistered 10.0.0.1:8002; listed: {left}")
print("on AWS: both are listed, and then 10.0.0.1:8001")
sys.exit(0 if (both, left) == ([("10.0.0.1", 8001)], []) else 1)
PROGRAM
"$folder/venv/bin/python" "$folder/show.py"
