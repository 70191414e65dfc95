"""AWS in tests: the key of its servers, the environment of a process, a signed call, and alarms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SignerCredentials

from localcloud.account import Credentials, new_credentials

CREDENTIALS = new_credentials()
"""The key that every emulator and runtime of this test process takes."""
KEYS: Any = {
    "aws_access_key_id": CREDENTIALS.access_key_id,
    "aws_secret_access_key": CREDENTIALS.secret_access_key,
}
"""Arguments of a boto3 client."""
SERVER = CREDENTIALS.server_variables()
"""Environment of an emulator that takes this key."""


def aws_environment(url: str, region: str = "us-east-1") -> dict[str, str]:
    """Environment of a process whose AWS is the emulator, or a fake, at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        **CREDENTIALS.variables(),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "NO_PROXY": "127.0.0.1",
    }


def signed(service: str, method: str, url: str, body: bytes = b"", credentials: Credentials = CREDENTIALS) -> Any:
    """Headers of a call that no SDK makes, signed as one would; a form when it has a body."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    request = AWSRequest(method, url, headers, body)
    keys = SignerCredentials(credentials.access_key_id, credentials.secret_access_key)
    SigV4Auth(keys, service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def put_alarm(cloudwatch: Any, name: str, *actions: str) -> None:
    """Create an alarm on a metric without data points: a test sets its state."""
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Test",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=list(actions),
    )


@contextmanager
def ringing(client: Callable[[str], Any], stage: str, name: str) -> Iterator[None]:
    """An alarm of a stage's alerts that starts to ring again and again, so that it does while somebody watches."""
    cloudwatch, over = client("cloudwatch"), threading.Event()
    (evaluation,) = client("cloudformation").describe_stacks(StackName=f"twin-{stage}-evaluation")["Stacks"]
    (topic,) = (each["OutputValue"] for each in evaluation["Outputs"] if each["OutputKey"] == "AlertsTopicArn")
    put_alarm(cloudwatch, name, topic)

    def ring() -> None:
        while not over.wait(1):
            for state in ("ALARM", "OK"):
                cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
                over.wait(1)

    thread = threading.Thread(target=ring)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        cloudwatch.delete_alarms(AlarmNames=[name])
