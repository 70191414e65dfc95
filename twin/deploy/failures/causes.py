"""Common causes of a failed deployment: the words of AWS, their meaning, and the fix.

The table is searched from its top: what names a cause exactly comes before what many causes look like from outside (a
container that never gets healthy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One cause.

    Attributes:
        name: short name, unique in the table.
        pattern: regular expression over CloudFormation's reason, or over a container's log when `in_log`.
        meaning: what has happened, in plain words.
        fix: what to do; `{stage}` and `{region}` are filled in.
        in_log: also looked for in the log of the container; a log mentions too much for most patterns.
    """

    name: str
    pattern: str
    meaning: str
    fix: str
    in_log: bool = False


CAUSES = (
    Cause(
        "gated model",
        r"GatedRepo|gated repo|not in the authorized list|public gated repositories",
        "The model is gated on its hub, and the endpoint's token may not read it (or there is none).",
        "Accept the terms on the model's page as the token's owner, put the token into a secret, set "
        "`hub_token_secret_arn` in [llm]; `make doctor STAGE={stage}` checks it.",
        in_log=True,
    ),
    Cause(
        "model missing",
        r"RepositoryNotFoundError|RevisionNotFoundError|is not a valid model identifier|Repository Not Found for url",
        "The hub knows no such model or revision for this caller.",
        "Correct `model_id` and `model_revision` in [llm]; `make doctor STAGE={stage}` checks them.",
        in_log=True,
    ),
    Cause(
        "out of GPU memory",
        r"CUDA out of memory|torch\.OutOfMemoryError|KV cache memory|stored in KV cache|memory for the cache blocks",
        "Weights and key-value cache do not fit into the memory of the GPU.",
        "Shorten `max_model_len`, take a bigger `instance_type`, more `accelerators` or a quantized model in [llm]; "
        "`make doctor STAGE={stage}` calculates it.",
        in_log=True,
    ),
    Cause(
        "disk full",
        r"No space left on device",
        "The container's disk is full, mostly of weights.",
        "Take an instance type with a bigger disk, or a smaller model.",
        in_log=True,
    ),
    Cause(
        "wrong architecture",
        r"exec format error|does not contain descriptor matching platform|image Manifest does not contain",
        "The image is built for another processor than the one it is started on.",
        "Build the service's image for linux/arm64 and push it again.",
        in_log=True,
    ),
    Cause(
        "out of memory",
        r"OutOfMemoryError: Container killed|OOMKilled|exit code:? 137|exited with (code|status) 137",
        "The container wanted more memory than it was given and was killed.",
        "Raise `memory_mb` in [rag]; for the endpoint take an `instance_type` with more memory in [llm], whose "
        "`memory_mb` only reserves and limits nothing.",
        in_log=True,
    ),
    Cause(
        "setting refused",
        r"environment variable \w+ is (not set|wrong)|validation errors? for \w*Settings|[Uu]nrecognized arguments",
        "The container refuses its settings: a variable is missing, misspelt or out of bounds.",
        "Compare the variable that is named with the stage's file in infra/config/ and docs/configuration.md.",
        in_log=True,
    ),
    Cause(
        "no logs",
        r"CannotStartContainerError\. Please ensure the model container",
        "The LLM's container did not start, mostly without a line of log: its CUDA release does not fit the GPU driver "
        "of the machine image, or its image has no program for SageMaker.",
        "Remove `inference_ami_version` from [llm], or set the one for the image; `make doctor STAGE={stage}` compares "
        "them.",
    ),
    Cause(
        "secret in deletion",
        r"scheduled for deletion",
        "A secret of this name was deleted and still waits out its recovery window, which keeps the name taken.",
        "`aws secretsmanager delete-secret --force-delete-without-recovery --region {region} --secret-id NAME`, then "
        "deploy again; `aws secretsmanager restore-secret` brings it back instead.",
    ),
    Cause(
        "bucket not empty",
        r"BucketNotEmpty|bucket you tried to delete is not empty",
        "A bucket cannot be deleted while objects or versions are in it.",
        "Empty it (`aws s3 rm --recursive s3://NAME`; versions in the console), then repeat.",
    ),
    Cause(
        "bootstrap missing",
        r"cdk-bootstrap/\w+/version|bootstrapped\?|requires bootstrap stack version"
        r"|bootstrap stack version \d+ required",
        "The account and region have no CDK bootstrap stack, or too old a one.",
        "`twin account bootstrap --stage {stage}`, once per account and region.",
    ),
    Cause(
        "credentials",
        r"ExpiredToken|InvalidClientTokenId|security token included in the request is|[Tt]oken (has|is) expired"
        r"|SSO session .*(expired|invalid)|no credentials have been configured|Unable to (locate|resolve) .*credentials"
        r"|AuthFailure",
        "The AWS credentials are missing, expired or wrong.",
        "`aws sso login`, or set AWS_PROFILE; check with `aws sts get-caller-identity`. What CloudFormation has begun "
        "it finishes without you.",
    ),
    Cause(
        "wrong account",
        r"current credentials are for|but the target account|AccountMismatch",
        "The credentials belong to another account than the settings name.",
        "Use a profile of that account, or correct `account` in infra/config/{stage}.toml.",
    ),
    Cause(
        "stack cannot be updated",
        r"is in (ROLLBACK_COMPLETE|ROLLBACK_FAILED|UPDATE_ROLLBACK_FAILED|DELETE_FAILED) state"
        r"|ROLLBACK_COMPLETE.* can ?not be updated",
        "An earlier deployment failed and left the stack in a state that takes no update.",
        "`make delete-inference-pipeline-deployment STAGE={stage}`, then deploy again; a stack that serves is "
        "continued with `aws cloudformation continue-update-rollback`.",
    ),
    Cause(
        "stack busy",
        r"is in [A-Z_]+_IN_PROGRESS state|OperationInProgress",
        "Another operation on the same stack is running.",
        "Wait until it is done, then deploy again.",
    ),
    Cause(
        "export in use",
        r"Export \S+ cannot be (deleted|updated)",
        "Another stack uses an output that this update would take away.",
        "Deploy the stack that uses it first, or delete the stage and deploy it anew.",
    ),
    Cause(
        "VPC limit",
        r"VpcLimitExceeded|maximum number of VPCs",
        "The region already has as many VPCs as the account may have (5 unless raised).",
        "Delete one that is not used, or raise the quota `VPCs per Region` (vpc, L-F678F1CE) in Service Quotas.",
    ),
    Cause(
        "address limit",
        r"AddressLimitExceeded|maximum number of addresses",
        "The region already has as many Elastic IP addresses as the account may have (5 unless raised).",
        "Release one (`aws ec2 describe-addresses --region {region}`), set `nat_gateways = 0`, or raise the quota "
        "ec2 L-0263D0A3.",
    ),
    Cause(
        "network interface limit",
        r"NetworkInterfaceLimit|InsufficientFreeAddressesInSubnet|not enough free (IP )?addresses|ENILimitReached"
        r"|EniLimitReached|limit .*(network interfaces|ENI)",
        "The subnets have no free address left, or the account no network interface.",
        "Take a wider `cidr` in [network], or raise the quota `Network interfaces per Region` (vpc, L-DF5E4CA3).",
    ),
    Cause(
        "no room for a copy",
        r"not enough hardware resources on the instances",
        "No instance of the endpoint has as much free host memory, or as many free GPUs, as a copy of the model needs.",
        "Lower `memory_mb` in [llm], which is only a reservation (1024 on a machine of 16 GiB), or `accelerators`; "
        "`make doctor STAGE={stage}` compares both with each instance type.",
    ),
    Cause(
        "capacity",
        r"InsufficientInstanceCapacity|InsufficientCapacity|Unable to provision requested ML compute capacity"
        r"|[Cc]apacity is unavailable|insufficient .*capacity",
        "AWS has no free instance of this type in the region right now. It is not your quota.",
        "Try again later, or choose another `instance_type` or `region`.",
    ),
    Cause(
        "throttling",
        r"Rate exceeded|Throttl|TooManyRequests|RequestLimitExceeded",
        "AWS answered too many calls with a refusal; nothing is wrong with the stack.",
        "Wait a few minutes, then deploy again.",
    ),
    Cause(
        "quota",
        r"ResourceLimitExceeded|account-level service limit|ServiceQuotaExceeded|LimitExceeded|exceeds? the quota"
        r"|quota .*exceeded|maximum number of",
        "The account's quota is used up; new accounts have 0 for most GPU instances.",
        "Request more in Service Quotas (the reason names the quota; it takes hours to days): "
        "https://{region}.console.aws.amazon.com/servicequotas/home. `make doctor STAGE={stage}` checks it beforehand.",
    ),
    Cause(
        "image missing",
        r"CannotPullContainer|manifest unknown|ImageNotFound|Requested image .*(not found|does not exist)"
        r"|repository .* does not exist|RepositoryNotFoundException|pull access denied",
        "The container image is not where the stack looks for it, or the role may not pull it.",
        "Push the image with the tag that `release` names into ECR of {region}; for the LLM check `image` in [llm].",
    ),
    Cause(
        "KMS key",
        r"(?i)\bkms\b.*(access|denied|not authorized|disabled|not found|does not exist|pending|invalid)|KMSAccessDenied"
        r"|(?i:key .*(pending deletion|is disabled))",
        "An encryption key is missing, disabled, or does not let this role use it.",
        "Check `kms_key_arn` in [llm] and the key's policy, which must allow it to the endpoint's role.",
    ),
    Cause(
        "role not known yet",
        r"must allow AWS EventBridge Scheduler to assume the role",
        "EventBridge Scheduler looks at the trust of its role at once, and IAM has not spread the new role yet.",
        "Deploy again. If the same role is refused every time, look at its trust policy.",
    ),
    Cause(
        "service-linked role",
        r"(?i)service[- ]linked role",
        "The service lacks the role that it acts with; in a new account it is made at the first use.",
        "Deploy again after a minute, or `aws iam create-service-linked-role --aws-service-name "
        "ecs.amazonaws.com` (or the service that the reason names).",
    ),
    Cause(
        "IAM",
        r"AccessDenied|not authorized to perform|UnauthorizedOperation|is not authorized|Could not assume role"
        r"|cannot be assumed|must grant access|iam:PassRole",
        "A role or the deploying identity lacks a permission; the reason names the action.",
        "Allow that action; if the role was only just made, deploy again: IAM takes up to a minute to spread.",
    ),
    Cause(
        "certificate",
        r"CertificateNotFound|UnsupportedCertificate|[Cc]ertificate ARN|[Cc]ertificate .*(not found|not valid|expired)",
        "Load balancer or CloudFront cannot use the certificate: not issued, of another region, or gone.",
        "Check `certificate_arn` in [rag]: issued by ACM in {region}, or in us-east-1 for CloudFront; "
        "`make doctor STAGE={stage}` checks it.",
    ),
    Cause(
        "region",
        r"OptInRequired|not (available|supported) in (this|the|your) .*[Rr]egion|Could not connect to the endpoint URL"
        r"|availability ?[zZ]one.* is invalid|Unrecognized resource types",
        "The region (or zone) does not offer what the stack wants, or the account has not turned it on.",
        "Choose another `region`, set `availability_zones` in [network], or enable the region in the account's "
        "settings.",
    ),
    Cause(
        "name exists",
        r"already exist|AlreadyExists|EntityAlreadyExists|Cannot create already existing",
        "A resource of this name exists and belongs to no stack: a leftover of an earlier deployment.",
        "`make delete-inference-pipeline-deployment STAGE={stage}` lists leftovers; remove this one by hand.",
    ),
    Cause(
        "function too big",
        r"Unzipped size must be smaller|RequestEntityTooLarge|CodeStorageExceeded",
        "A function's code and layers are larger than Lambda takes.",
        "Build the layer from its lock file only.",
    ),
    Cause(
        "Fargate size",
        r"No Fargate configuration exists|Invalid 'cpu' setting for task",
        "Fargate has no task size with this much CPU and memory.",
        "Correct `cpu` and `memory_mb` in [rag].",
    ),
    Cause(
        "start-up too slow",
        r"model data download timeout|[Tt]imed out|Exceeded attempts to wait|did not stabilize|NotStabilized",
        "The container was not ready in time; downloading the weights is the longest part.",
        "Raise `startup_timeout_seconds` in [llm] if the log shows progress; else the log shows where it hangs. "
        "Without a log of the LLM, its image and `inference_ami_version` may not fit: `make doctor STAGE={stage}`.",
    ),
    Cause(
        "health check",
        r"ping health check|health checks?|[Uu]nhealthy|Circuit Breaker was triggered|Essential container .*exited"
        r"|container exited|exited with|did not start",
        "The container ended, or never answered its health check.",
        "Read the container's last lines; a program that ends at once mostly lacks a setting, a secret or a "
        "permission.",
    ),
)


def explain(reasons: Iterable[str], log: Iterable[str] = ()) -> Cause | None:
    """The first cause of the table that fits what AWS gives as reasons, or the lines of a container's log."""
    said, logged = "\n".join(reasons), "\n".join(log)
    for cause in CAUSES:
        if re.search(cause.pattern, said) or (cause.in_log and re.search(cause.pattern, logged)):
            return cause
    return None
