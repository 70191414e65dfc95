"""Table of pricers by resource type: one module per family of services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twin.cost.assembly import Resource
from twin.cost.charge import Context, Finding, Free, Pricer, Unknown
from twin.cost.pricers import (
    balancing,
    containers,
    edge,
    functions,
    keys,
    llm,
    machines,
    messaging,
    network,
    watching,
)
from twin.cost.pricers.free import FREE

PRICERS: Mapping[str, Pricer] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": watching.scaling_policy,
    machines.GROUP: machines.group,
    "AWS::CloudFront::Distribution": edge.distribution,
    "AWS::CloudFront::Function": edge.function,
    "AWS::CloudWatch::Alarm": watching.alarm,
    "AWS::CloudWatch::CompositeAlarm": watching.composite_alarm,
    "AWS::CloudWatch::Dashboard": watching.dashboard,
    "AWS::DLM::LifecyclePolicy": machines.snapshots,
    "AWS::EC2::EIP": network.address,
    "AWS::EC2::FlowLog": network.flow_log,
    "AWS::EC2::Instance": machines.machine,
    "AWS::EC2::NatGateway": network.nat_gateway,
    "AWS::EC2::VPCEndpoint": network.endpoint,
    "AWS::EC2::Volume": machines.volume,
    "AWS::ECS::Cluster": containers.cluster,
    "AWS::ECS::Service": containers.service,
    "AWS::ECS::TaskDefinition": containers.task_definition,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": balancing.load_balancer,
    "AWS::KMS::Key": keys.key,
    "AWS::Lambda::Function": functions.function,
    "AWS::Logs::LogGroup": watching.log_group,
    "AWS::S3::Bucket": machines.bucket,
    "AWS::SNS::Topic": messaging.topic,
    "AWS::SQS::Queue": messaging.queue,
    "AWS::SSM::Parameter": keys.parameter,
    "AWS::SageMaker::EndpointConfig": llm.endpoint_config,
    "AWS::SageMaker::Model": llm.model,
    "AWS::Scheduler::Schedule": messaging.schedule,
    "AWS::SecretsManager::Secret": keys.secret,
    "AWS::StepFunctions::StateMachine": messaging.workflow,
    "AWS::WAFv2::WebACL": edge.web_acl,
}


def findings(resource: Resource, context: Context) -> Iterable[Finding]:
    """Charges of a resource; a type that no pricer knows is Unknown, never free."""
    pricer = PRICERS.get(resource.kind)
    if pricer is not None:
        return pricer(resource, context)
    if resource.kind in FREE:
        return [Free(FREE[resource.kind])]
    if resource.kind.startswith("Custom::"):
        return [Free("a custom resource is free; the function behind it is a separate resource")]
    return [Unknown("no price is known for this type")]
