"""A CDK app of two stacks for test_references.py: a queue, whose name replaces it, and a parameter with its address."""

from __future__ import annotations

import os

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm

from infra.constructs.shared.references import follow


def main() -> None:
    """Synthesize with the queue's name of QUEUE_NAME."""
    app = cdk.App()
    # No bootstrap: the emulator holds the version of one and none of its roles.
    holder = cdk.Stack(app, "holder", synthesizer=cdk.LegacyStackSynthesizer())
    queue = sqs.Queue(holder, "Queue", queue_name=os.environ["QUEUE_NAME"])
    reader = cdk.Stack(app, "reader", synthesizer=cdk.LegacyStackSynthesizer())
    ssm.StringParameter(reader, "Address", parameter_name="/address", string_value=queue.queue_url)
    follow([reader], [holder])
    app.synth()


if __name__ == "__main__":
    main()
