"""AWS's own words find their cause."""

from __future__ import annotations

import re

import pytest

from twin.deploy.failures.causes import CAUSES, explain

REASONS = {
    "no logs": [
        "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly when "
        "invoked with 'docker run <image> serve'",
    ],
    "quota": [
        "The account-level service limit 'ml.g6.2xlarge for endpoint usage' is 0 Instances, with current utilization "
        "of 0 Instances and a request delta of 1 Instances. (Service: SageMaker, Status Code: 400, Request ID: 1)",
        "You've reached your quota: Error Code: ResourceLimitExceeded",
        'Resource handler returned message: "..." (RequestToken: 1, HandlerErrorCode: ServiceLimitExceeded)',
    ],
    "no room for a copy": [
        "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference "
        "component. (Service: SageMaker, Status Code: 400)",
    ],
    "capacity": [
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry "
        "using a different ML instance type or after some time.",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    ],
    "image missing": [
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref: not found",
        "Requested image 123456789012.dkr.ecr.us-east-1.amazonaws.com/vllm:v9 not found.",
        "The repository with name 'llm-twin/rag' does not exist (RepositoryNotFoundException)",
    ],
    "health check": [
        "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint.",
        "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.",
        "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)",
    ],
    "role not known yet": [
        'Resource handler returned message: "Invalid request provided: The execution role you provide must allow AWS '
        'EventBridge Scheduler to assume the role. (Service: Scheduler, Status Code: 400, Request ID: 1)"',
    ],
    "IAM": [
        "User: arn:aws:sts::1:assumed-role/cdk-hnb659fds-cfn-exec-role is not authorized to perform: "
        "sagemaker:CreateModel",
        "Could not assume role arn:aws:iam::1:role/Role. Please ensure that the role exists",
        "API: iam:PutRolePolicy AccessDenied",
    ],
    "name exists": [
        "/aws/sagemaker/Endpoints/twin-dev-llm already exists in stack arn:aws:cloudformation:us-east-1:1:stack/old",
        'Cannot create already existing endpoint "arn:aws:sagemaker:us-east-1:1:endpoint/twin-dev-llm".',
        "Resource of type 'AWS::Logs::LogGroup' with identifier '{...}' already exists.",
    ],
    "bucket not empty": ["The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"],
    "bootstrap missing": [
        "twin-dev-llm: SSM parameter /cdk-bootstrap/hnb659fds/version not found. "
        "Has the environment been bootstrapped?",
        "This CDK deployment requires bootstrap stack version '6', found '4'.",
    ],
    "credentials": [
        "The security token included in the request is expired",
        "Need to perform AWS calls for account 1, but no credentials have been configured",
        "ExpiredToken: The provided token has expired.",
    ],
    "wrong account": ["Need to perform AWS calls for account 1, but the current credentials are for 2"],
    "region": [
        "Value (us-west-1b) for parameter availabilityZone is invalid. Subnets can currently only be created in: ...",
        "OptInRequired: You are not subscribed to this service.",
    ],
    "network interface limit": [
        "The subnet has insufficient: InsufficientFreeAddressesInSubnet",
        "NetworkInterfaceLimitExceeded: The maximum number of network interfaces has been reached.",
    ],
    "VPC limit": ["The maximum number of VPCs has been reached. (Service: Ec2; Error Code: VpcLimitExceeded)"],
    "address limit": ["The maximum number of addresses has been reached."],
    "certificate": ["Certificate ARN 'arn:aws:acm:eu-west-1:1:certificate/x' is not valid", "UnsupportedCertificate"],
    "service-linked role": [
        "Unable to assume the service linked role. Please verify that the ECS service linked role exists."
    ],
    "throttling": ["Rate exceeded (Service: Ecs, Status Code: 400)", "ThrottlingException: Too many requests"],
    "stack cannot be updated": [
        "Stack:arn:aws:cloudformation:us-east-1:1:stack/x is in ROLLBACK_COMPLETE state and can not be updated.",
    ],
    "stack busy": ["Stack is in UPDATE_IN_PROGRESS state and can not be updated."],
    "KMS key": [
        "KMS key arn:aws:kms:us-east-1:1:key/x is pending deletion",
        "The ciphertext refers to a KMS key that does not exist, or you are not allowed to access it: access denied",
    ],
    "secret in deletion": [
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
    ],
    "export in use": ["Export twin-dev-network:Vpc cannot be deleted as it is in use by twin-dev-business"],
    "function too big": ["Unzipped size must be smaller than 262144000 bytes"],
    "Fargate size": ["No Fargate configuration exists for given values: 256 CPU, 4096 memory."],
    "start-up too slow": ["Resource timed out waiting for completion", "Exceeded attempts to wait"],
    "setting refused": [
        "ECS service api: environment variable QDRANT_URL is not set",
        "the container exited with code 78: Configuration error: environment variable LLM_ENGINE is wrong",
    ],
    "out of memory": ["OutOfMemoryError: Container killed due to memory usage"],
}
LOGS = {
    "gated model": "GatedRepoError: 403 Client Error. Cannot access gated repo for url https://huggingface.co/x/y",
    "model missing": "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.",
    "out of GPU memory": "ValueError: The model's max seq len (8192) is larger than the maximum number of tokens that "
    "can be stored in KV cache (3664).",
    "disk full": "OSError: [Errno 28] No space left on device",
    "wrong architecture": "exec /usr/local/bin/python: exec format error",
    "setting refused": "1 validation error for ServiceSettings",
}
PING = "The primary container for production variant AllTraffic did not pass the ping health check."


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, all_ in REASONS.items() for reason in all_])
def test_a_reason_finds_its_cause(name: str, reason: str) -> None:
    cause = explain([reason])
    assert cause is not None
    assert cause.name == name


@pytest.mark.parametrize(("name", "line"), LOGS.items())
def test_the_containers_log_says_more_than_the_failed_health_check(name: str, line: str) -> None:
    cause = explain([PING], ["loading", line, "bye"])
    assert cause is not None
    assert cause.name == name


def test_a_container_of_the_service_that_cannot_start_is_another_matter() -> None:
    assert explain(["CannotStartContainerError: Error response from daemon: no space"]) is None


def test_a_word_in_a_log_is_not_a_reason() -> None:
    cause = explain([PING], ["WARNING retry after ThrottlingException: Rate exceeded"])
    assert cause is not None
    assert cause.name == "health check"


def test_what_the_table_does_not_know_stays_unexplained() -> None:
    assert explain(["The moon is full"]) is None


def test_every_cause_is_reached_by_a_reason_or_a_log() -> None:
    assert {cause.name for cause in CAUSES} == REASONS.keys() | LOGS.keys()


def test_every_cause_says_what_to_do_with_this_stage() -> None:
    for cause in CAUSES:
        filled = cause.fix.format(stage="dev", region="eu-west-1")
        assert not re.search(r"\{\w+\}", filled), cause.name
