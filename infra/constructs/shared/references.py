"""What reads an output of another stack changes when that stack does.

CloudFormation resolves `Fn::GetStackOutput` when the reading stack is created or updated, and not on a later
change. The CDK's command line skips a stack whose template is the deployed one, and CloudFormation an update in which
no resource changes. So a resource that was replaced under its logical id would leave its readers with the id of the one
that is gone. A hash in the metadata of each reading resource makes it change with what it reads. The metadata of a
template, unlike that of a resource, is no change by itself:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getstackoutput.html,
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/metadata-section-structure.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import aws_cdk as cdk
import jsii

READS = "twin:reads"
"""Key in a resource's metadata: by the name of each stack that it reads, a hash of that stack's resources."""
OUTPUT = "Fn::GetStackOutput"


def follow(readers: Sequence[cdk.Stack], stacks: Sequence[cdk.Stack]) -> None:
    """Let the resources of `readers` change with the stacks whose outputs they read, of which `stacks` are all."""
    digests = {stack.stack_name: _Digest(stack) for stack in stacks}
    for reader in readers:
        for resource in _resources(reader):
            resource.add_metadata(READS, cdk.Lazy.any(_Reads(resource, digests)))


class _Digest:
    """Hash of the resources of a stack."""

    def __init__(self, stack: cdk.Stack) -> None:
        self._stack = stack

    @cached_property
    def value(self) -> str:
        """The hash, of logical ids, types and properties; to be asked for when the stack is complete."""
        found = [
            [resource.logical_id, resource.cfn_resource_type, resource._cfn_properties]
            for resource in _resources(self._stack)
        ]
        resolved = json.dumps(self._stack.resolve(found), sort_keys=True)
        return hashlib.sha256(resolved.encode()).hexdigest()[:16]


@jsii.implements(cdk.IStableAnyProducer)
class _Reads:
    """Metadata of a resource; none while, or if, it reads no output."""

    def __init__(self, resource: cdk.CfnResource, digests: dict[str, _Digest]) -> None:
        self._resource = resource
        self._digests = digests

    def produce(self) -> dict[str, str] | None:
        """Hashes by stack, once the synthesis has made outputs of references."""
        properties = self._resource.stack.resolve(self._resource._cfn_properties)
        names = sorted({name for name in _stacks_read(properties) if name in self._digests})
        return {name: self._digests[name].value for name in names} or None


def _resources(stack: cdk.Stack) -> list[cdk.CfnResource]:
    return [each for each in stack.node.find_all() if isinstance(each, cdk.CfnResource)]


def _stacks_read(value: Any) -> Iterator[str]:
    """Names of the stacks whose outputs a part of a template reads."""
    if isinstance(value, dict):
        if OUTPUT in value:
            yield str(value[OUTPUT]["StackName"])
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _stacks_read(each)
