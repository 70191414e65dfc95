"""Checks of the CDK's bootstrap, the stage's stacks, and leftovers under their names."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from infra.names import bootstrap_parameter, watermark_parameter
from twin.doctor.check import Check
from twin.doctor.context import Context
from twin.doctor.finding import Finding, failed, ok, warning
from twin.inventory.survivors import Survivor, survivors
from twin.target.cloudformation import DELETED, CloudFormation, Resource

NEEDED_VERSION = 6
"""What templates of `aws-cdk-lib` ask for in their rule CheckBootstrapVersion."""
STUCK = ("DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")
MADE_ANEW = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
"""A first deployment that failed; the CDK command line deletes such a stack before it creates it again."""
SHOWN_LEFTOVERS = 5


def _bootstrap(context: Context) -> Iterator[Finding]:
    where = f"aws://{context.caller.account}/{context.stage.region}"
    parameter = bootstrap_parameter(context.known.delivery.qualifier)
    fix = f"run `twin account bootstrap --stage {context.stage.name}`"
    why = "the CDK has no bucket for its assets and no roles to deploy with"
    try:
        found = context.stage.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        fix = f"`twin deploy --stage {context.stage.name}` asks and makes it; in a workflow {fix} before"
        yield warning("CDK bootstrap", f"none in {where}", why, fix)
        return
    version = int(found) if found.isdigit() else 0
    if version < NEEDED_VERSION:
        why = f"the templates' own rule asks for version {NEEDED_VERSION}"
        yield failed("CDK bootstrap", f"version {found}", why, fix)
    else:
        yield ok("CDK bootstrap", f"version {version}")


def _stacks(context: Context) -> Iterator[Finding]:
    for name, stack in CloudFormation(context.stage).stage_stacks().items():
        check, status = f"Stack {name}", stack.status
        if status in STUCK:
            why = "CloudFormation accepts no update of a stack in this state"
            page = f"https://console.aws.amazon.com/cloudformation/home?region={context.stage.region}"
            fix = f"`make delete-inference-pipeline-deployment STAGE={context.stage.name}`, or continue it at {page}"
            yield failed(check, status, why, fix)
        elif stack.in_progress:
            why = "CloudFormation does one thing at a time to a stack"
            yield failed(check, status, why, f"wait: `aws cloudformation describe-stacks --stack-name {name}`")
        elif status in MADE_ANEW:
            yield ok(check, f"{status}: the CDK deletes it and creates it anew")
        else:
            yield ok(check, status)


def _leftovers(context: Context) -> Iterator[Finding]:
    """What exists under the stage's names and belongs to no stack.

    A leftover under a fixed name makes the creation fail; others only cost. While a stack exists, resources that AWS
    made for it (interfaces, versions) carry its name without being its own: then only fixed names are looked at.
    """
    stacks = CloudFormation(context.stage).stage_stacks()
    owned = [resource.physical_id for stack in stacks for resource in created(context, stack)]
    found = [survivor for survivor in survivors(context.stage) if survivor.kind != "stack"]
    orphans = [survivor for survivor in found if not _is_owned(survivor, owned)]
    fixed = fixed_names(context)
    blocking = [orphan for orphan in orphans if (orphan.kind, orphan.name) in fixed]
    costing = [] if stacks else [orphan for orphan in orphans if orphan not in blocking]
    fix = f"`make delete-inference-pipeline-deployment STAGE={context.stage.name}` lists them; remove each by hand"
    if blocking:
        why = "CloudFormation cannot create what exists already, and rolls the stack back"
        yield failed("Name collisions", _listed(blocking), why, fix)
    if costing:
        yield warning("Leftovers", _listed(costing), "no stack owns them any more, and some are paid for", fix)
    if not blocking and not costing:
        yield ok("Name collisions", "nothing of an earlier deployment is in the way")


def fixed_names(context: Context) -> set[tuple[str, str]]:
    """Kind and name of every resource that the templates give a name of their own."""
    names = context.names
    dashboard = {("dashboard", names.dashboard)} if context.known.monitoring.dashboard else set()
    return dashboard | {
        ("endpoint", names.endpoint),
        ("inference component", names.inference_component),
        ("log group", f"/aws/sagemaker/Endpoints/{names.endpoint}"),
        ("log group", f"/aws/sagemaker/InferenceComponents/{names.inference_component}"),
        ("log group", f"/aws/vendedlogs/states/{names.judging}"),
        ("state machine", names.judging),
        ("parameter", watermark_parameter(context.stage.name)),
    }


def created(context: Context, stack: str) -> Iterator[Resource]:
    """The resources of a stack that exist."""
    for resource in CloudFormation(context.stage).resources(stack):
        if resource.physical_id and resource.status != DELETED:
            yield resource


def _is_owned(survivor: Survivor, owned: list[str]) -> bool:
    # Physical ids are names for some types and ARNs for others; an ARN ends in the name.
    return any(physical == survivor.name or physical.endswith(f"/{survivor.name}") for physical in owned)


def _listed(orphans: list[Survivor]) -> str:
    shown = ", ".join(f"{orphan.kind} {orphan.name}" for orphan in orphans[:SHOWN_LEFTOVERS])
    more = len(orphans) - SHOWN_LEFTOVERS
    return f"{shown} and {more} more" if more > 0 else shown


CHECKS = (
    Check("CDK bootstrap", _bootstrap),
    Check("Stacks", _stacks),
    Check("Name collisions", _leftovers, seconds=90),
)
