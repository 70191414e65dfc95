"""Cases of the resource types: smallest template, changes in place and by replacement, and the view through boto3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import Aws

Properties = dict[str, Any]
Shown = dict[str, Any]
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/engine:1"
SAGEMAKER = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}"
VPC = {
    "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
    "Group": {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"VpcId": {"Ref": "Vpc"}, "GroupDescription": "test"},
    },
}
NETWORK = {
    **VPC,
    **{
        name: {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": f"10.9.{number}.0/24"}}
        for number, name in enumerate(("Subnet", "OtherSubnet"))
    },
}


@dataclass(frozen=True)
class Variant:
    """Properties of the resource, and how boto3 describes it with them."""

    properties: Properties
    shown: Shown


@dataclass(frozen=True)
class Case:
    """One resource type.

    Attributes:
        read: description of a physical id through boto3; None when it does not exist.
        ref: pattern of the value of Ref.
        replaced: None for a type whose properties all change in place.
        attributes: pattern of the value of GetAtt, by attribute.
        support: resources that it needs.
    """

    type: str
    read: Callable[[Aws, str], Shown | None]
    before: Variant
    changed: Variant
    replaced: Variant | None
    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    support: Mapping[str, Any] = field(default_factory=dict)

    def resources(self, variant: Variant) -> dict[str, Any]:
        """A template with the resource as `Subject`."""
        return {**self.support, "Subject": {"Type": self.type, "Properties": variant.properties}}

    def __str__(self) -> str:
        return self.type.replace("::", "-")


def _described(call: Callable[..., Any], **arguments: Any) -> Any:
    """A description, or None for a resource that AWS reports as not found."""
    try:
        return call(**arguments)
    except ClientError as error:
        absent = ("NotFound", "NoSuchEntity", "Could not find", "doesn't exist")
        if any(word in str(error) for word in absent):
            return None
        raise


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _tagged(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _sagemaker_tags(aws: Aws, arn: str) -> dict[str, str]:
    return _tags(aws("sagemaker").list_tags(ResourceArn=arn)["Tags"])


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _model() -> Case:
    def properties(engine: str, **tags: str) -> Properties:
        container = {"Image": IMAGE, "Environment": {"LLM_ENGINE": engine}}
        return {"ExecutionRoleArn": ROLE, "PrimaryContainer": container, "Tags": _tagged(**tags)}

    def read(aws: Aws, arn: str) -> Shown | None:
        found = _described(aws("sagemaker").describe_model, ModelName=_last(arn))
        return found and {
            "engine": found["PrimaryContainer"]["Environment"]["LLM_ENGINE"],
            "tags": _sagemaker_tags(aws, arn),
        }

    return Case(
        "AWS::SageMaker::Model",
        read,
        Variant(properties("one", stage="a", owner="x"), {"engine": "one", "tags": {"stage": "a", "owner": "x"}}),
        Variant(properties("one", stage="b"), {"engine": "one", "tags": {"stage": "b"}}),
        Variant(properties("two"), {"engine": "two", "tags": {}}),
        ref=rf"{SAGEMAKER}:model/[\w-]+",
        attributes={"ModelName": r"[A-Za-z0-9-]{1,63}"},
    )


def _config(instance: str, **tags: str) -> Properties:
    variant = {"VariantName": "main", "InstanceType": instance, "InitialInstanceCount": "1"}
    return {"ExecutionRoleArn": ROLE, "ProductionVariants": [variant], "Tags": _tagged(**tags)}


def _endpoint_config() -> Case:
    def read(aws: Aws, arn: str) -> Shown | None:
        found = _described(aws("sagemaker").describe_endpoint_config, EndpointConfigName=_last(arn))
        return found and {
            "instance": found["ProductionVariants"][0]["InstanceType"],
            "tags": _sagemaker_tags(aws, arn),
        }

    return Case(
        "AWS::SageMaker::EndpointConfig",
        read,
        Variant(_config("ml.g6.xlarge", stage="a"), {"instance": "ml.g6.xlarge", "tags": {"stage": "a"}}),
        Variant(_config("ml.g6.xlarge", stage="b"), {"instance": "ml.g6.xlarge", "tags": {"stage": "b"}}),
        Variant(_config("ml.g6.2xlarge"), {"instance": "ml.g6.2xlarge", "tags": {}}),
        ref=rf"{SAGEMAKER}:endpoint-config/[\w-]+",
        attributes={"EndpointConfigName": r"[A-Za-z0-9-]{1,63}"},
    )


CONFIGS = {
    name: {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {**_config(f"ml.{name.lower()}.xlarge"), "EndpointConfigName": f"case-{name.lower()}"},
    }
    for name in ("G5", "G6")
}


def _endpoint() -> Case:
    def properties(config: str, tags: dict[str, str], **more: str) -> Properties:
        name = {"Fn::GetAtt": [config, "EndpointConfigName"]}
        return {"EndpointConfigName": name, "Tags": _tagged(**tags), **more}

    def shown(config: str, tags: dict[str, str]) -> Shown:
        return {"config": config, "status": "InService", "tags": tags}

    def read(aws: Aws, arn: str) -> Shown | None:
        found = _described(aws("sagemaker").describe_endpoint, EndpointName=_last(arn))
        return found and {
            "config": found["EndpointConfigName"],
            "status": found["EndpointStatus"],
            "tags": _sagemaker_tags(aws, arn),
        }

    return Case(
        "AWS::SageMaker::Endpoint",
        read,
        Variant(properties("G5", {"stage": "a", "owner": "x"}), shown("case-g5", {"stage": "a", "owner": "x"})),
        Variant(properties("G6", {"stage": "b"}), shown("case-g6", {"stage": "b"})),
        Variant(properties("G6", {}, EndpointName="case-other"), shown("case-g6", {})),
        ref=rf"{SAGEMAKER}:endpoint/[\w-]+",
        attributes={"EndpointName": r"[A-Za-z0-9-]{1,63}"},
        support=CONFIGS,
    )


ENDPOINT = {
    **CONFIGS,
    "Endpoint": {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["G5", "EndpointConfigName"]}},
    },
    **{
        name: {"Type": "AWS::SageMaker::Model", "Properties": {**_model().before.properties, "ModelName": name}}
        for name in ("case-one", "case-two")
    },
}


def _component(name: str, model: str = "case-one", copies: int = 1, **tags: str) -> Properties:
    return {
        "InferenceComponentName": name,
        "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
        "VariantName": "main",
        "Specification": {"ModelName": {"Fn::GetAtt": [model, "ModelName"]}},
        "RuntimeConfig": {"CopyCount": copies},
        "Tags": _tagged(**tags),
    }


def _inference_component() -> Case:
    def read(aws: Aws, arn: str) -> Shown | None:
        found = _described(aws("sagemaker").describe_inference_component, InferenceComponentName=_last(arn))
        return found and {
            "model": found["Specification"]["ModelName"],
            "copies": found["RuntimeConfig"]["CurrentCopyCount"],
            "status": found["InferenceComponentStatus"],
            "tags": _sagemaker_tags(aws, arn),
        }

    def shown(model: str, copies: int, **tags: str) -> Shown:
        return {"model": model, "copies": copies, "status": "InService", "tags": tags}

    return Case(
        "AWS::SageMaker::InferenceComponent",
        read,
        Variant(_component("case-here", stage="a"), shown("case-one", 1, stage="a")),
        Variant(_component("case-here", "case-two", 2, stage="b"), shown("case-two", 2, stage="b")),
        Variant(_component("case-there"), shown("case-one", 1)),
        ref=rf"{SAGEMAKER}:inference-component/[\w-]+",
        attributes={"InferenceComponentName": "case-here", "InferenceComponentStatus": "InService"},
        support=ENDPOINT,
    )


DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
COMPONENTS = {
    **ENDPOINT,
    **{
        name: {"Type": "AWS::SageMaker::InferenceComponent", "Properties": _component(f"case-{name.lower()}")}
        for name in ("Scaled", "AlsoScaled")
    },
}


def _target(component: str, most: int, actions: tuple[str, ...] = (), **tags: str) -> Properties:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"inference-component/case-{component}",
        "ScalableDimension": DIMENSION,
        "MinCapacity": "0",
        "MaxCapacity": most,
        "ScheduledActions": [
            {"ScheduledActionName": name, "Schedule": "cron(0 20 * * ? *)", "ScalableTargetAction": {"MaxCapacity": 0}}
            for name in actions
        ],
        "Tags": _tagged(**tags),
    }


def _scalable_target() -> Case:
    def read(aws: Aws, physical_id: str) -> Shown | None:
        scaling = aws("application-autoscaling")
        resource = physical_id.split("|")[0]
        where = {"ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION}
        found = scaling.describe_scalable_targets(ResourceIds=[resource], **where)["ScalableTargets"]
        actions = scaling.describe_scheduled_actions(ResourceId=resource, **where)["ScheduledActions"]
        return (
            {
                "most": found[0]["MaxCapacity"],
                "actions": {action["ScheduledActionName"] for action in actions},
                "tags": scaling.list_tags_for_resource(ResourceARN=found[0]["ScalableTargetARN"])["Tags"],
            }
            if found
            else None
        )

    night, weekend = {"night"}, {"weekend"}
    return Case(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        read,
        Variant(_target("a", 2, ("night",), stage="a"), {"most": 2, "actions": night, "tags": {"stage": "a"}}),
        Variant(_target("a", 3, ("weekend",), stage="b"), {"most": 3, "actions": weekend, "tags": {"stage": "b"}}),
        Variant(_target("b", 2), {"most": 2, "actions": set(), "tags": {}}),
        ref=rf"inference-component/case-a\|{DIMENSION}\|sagemaker",
    )


def _scaling_policy() -> Case:
    def properties(name: str, adjustment: int) -> Properties:
        return {
            "PolicyName": name,
            "PolicyType": "StepScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "StepScalingPolicyConfiguration": {
                "AdjustmentType": "ExactCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": "0", "ScalingAdjustment": adjustment}],
            },
        }

    def read(aws: Aws, arn: str) -> Shown | None:
        found = aws("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
        configured = {
            policy["PolicyARN"]: policy["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"]
            for policy in found["ScalingPolicies"]
        }
        return {"adjustment": configured[arn]} if arn in configured else None

    target = {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": _target("policy", 2)}
    return Case(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        read,
        Variant(properties("wake", 1), {"adjustment": 1}),
        Variant(properties("wake", 2), {"adjustment": 2}),
        Variant(properties("rise", 1), {"adjustment": 1}),
        ref=rf"arn:aws:autoscaling:us-east-1:{ACCOUNT}:scalingPolicy:.*:policyName/wake",
        attributes={"Arn": r"arn:aws:autoscaling:.*"},
        support={"Target": target},
    )


def _eip() -> Case:
    def read(aws: Aws, public_ip: str) -> Shown | None:
        found = [item for item in aws("ec2").describe_addresses()["Addresses"] if item["PublicIp"] == public_ip]
        return {"tags": _tags(found[0].get("Tags", []))} if found else None

    return Case(
        "AWS::EC2::EIP",
        read,
        Variant({"Domain": "vpc", "Tags": _tagged(stage="a", owner="x")}, {"tags": {"stage": "a", "owner": "x"}}),
        Variant({"Domain": "vpc", "Tags": _tagged(stage="b")}, {"tags": {"stage": "b"}}),
        Variant({"Domain": "vpc", "NetworkBorderGroup": "us-east-1"}, {"tags": {}}),
        ref=r"\d+\.\d+\.\d+\.\d+",
        attributes={"AllocationId": r"eipalloc-\w+", "PublicIp": r"\d+\.\d+\.\d+\.\d+"},
    )


def _nat_gateway() -> Case:
    def properties(subnet: str, **tags: str) -> Properties:
        address = {"Fn::GetAtt": ["Address", "AllocationId"]}
        return {"SubnetId": {"Ref": subnet}, "AllocationId": address, "Tags": _tagged(**tags)}

    def read(aws: Aws, physical_id: str) -> Shown | None:
        found = aws("ec2").describe_nat_gateways(NatGatewayIds=[physical_id])["NatGateways"]
        standing = [gateway for gateway in found if gateway["State"] == "available"]
        return {"tags": _tags(standing[0].get("Tags", []))} if standing else None

    return Case(
        "AWS::EC2::NatGateway",
        read,
        Variant(properties("Subnet", stage="a"), {"tags": {"stage": "a"}}),
        Variant(properties("Subnet", stage="b"), {"tags": {"stage": "b"}}),
        Variant(properties("OtherSubnet"), {"tags": {}}),
        ref=r"nat-\w+",
        attributes={"NatGatewayId": r"nat-\w+"},
        support={**NETWORK, "Address": {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}}},
    )


def _rule(direction: str, source: Properties, other: Properties, shown: Shown, then: Shown) -> Case:
    def properties(description: str, more: Properties) -> Properties:
        ports = {"IpProtocol": "tcp", "FromPort": "443", "ToPort": 443}
        return {"GroupId": {"Ref": "Group"}, "Description": description, **ports, **more}

    def read(aws: Aws, rule: str) -> Shown | None:
        found = aws("ec2").describe_security_group_rules(SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
        fields = ("Description", "CidrIpv4", "CidrIpv6", "ReferencedGroupInfo", "FromPort", "IsEgress")
        return {key: found[0][key] for key in fields if key in found[0]} if found else None

    common = {"FromPort": 443, "IsEgress": direction == "Egress"}
    return Case(
        f"AWS::EC2::SecurityGroup{direction}",
        read,
        Variant(properties("one", source), {"Description": "one", **shown, **common}),
        Variant(properties("two", source), {"Description": "two", **shown, **common}),
        Variant(properties("one", other), {"Description": "one", **then, **common}),
        ref=r"sgr-\w+",
        attributes={"Id": r"sgr-\w+"},
        support=VPC,
    )


def _oidc_provider() -> Case:
    def properties(host: str, clients: list[str], thumbprints: list[str], **tags: str) -> Properties:
        return {
            "Url": f"https://{host}",
            "ClientIdList": clients,
            "ThumbprintList": [thumbprint * 40 for thumbprint in thumbprints],
            "Tags": _tagged(**tags),
        }

    def shown(clients: list[str], thumbprints: list[str], **tags: str) -> Shown:
        return {"clients": set(clients), "thumbprints": {print_ * 40 for print_ in thumbprints}, "tags": tags}

    def read(aws: Aws, arn: str) -> Shown | None:
        iam = aws("iam")
        found = _described(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
        return found and {
            "clients": set(found["ClientIDList"]),
            "thumbprints": set(found["ThumbprintList"]),
            "tags": _tags(iam.list_open_id_connect_provider_tags(OpenIDConnectProviderArn=arn)["Tags"]),
        }

    one, two = ["sts.amazonaws.com", "kept"], ["kept", "added"]
    return Case(
        "AWS::IAM::OIDCProvider",
        read,
        Variant(properties("one.example.com", one, ["a"], stage="a"), shown(one, ["a"], stage="a")),
        Variant(properties("one.example.com", two, ["b", "c"], stage="b"), shown(two, ["b", "c"], stage="b")),
        Variant(properties("two.example.com", one, []), shown(one, [])),
        ref=rf"arn:aws:iam::{ACCOUNT}:oidc-provider/one\.example\.com",
        attributes={"Arn": r"arn:aws:iam::.*"},
    )


def budget(amount: float, threshold: float, tags: Mapping[str, str] | None = None, **more: str) -> Properties:
    """A monthly budget with one notification."""
    notification = {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": threshold,
    }
    subscriber = {"SubscriptionType": "EMAIL", "Address": "owner@example.com"}
    limit = {"Amount": amount, "Unit": "USD"}
    return {
        "Budget": {"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": limit, **more},
        "NotificationsWithSubscribers": [{"Notification": notification, "Subscribers": [subscriber]}],
        "ResourceTags": _tagged(**(tags or {})),
    }


def read_budget(aws: Aws, name: str) -> Shown | None:
    """A budget's limit, its notifications' thresholds, its tags."""
    budgets = aws("budgets")
    found = _described(budgets.describe_budget, AccountId=ACCOUNT, BudgetName=name)
    if found is None:
        return None
    notifications = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName=name)["Notifications"]
    return {
        "amount": float(found["Budget"]["BudgetLimit"]["Amount"]),
        "thresholds": [notification["Threshold"] for notification in notifications],
        "tags": _tags(
            budgets.list_tags_for_resource(ResourceARN=f"arn:aws:budgets::{ACCOUNT}:budget/{name}")["ResourceTags"]
        ),
    }


def shown_budget(amount: float, threshold: float, **tags: str) -> Shown:
    """What `read_budget` shows of such a budget."""
    return {"amount": amount, "thresholds": [threshold], "tags": tags}


def _budget() -> Case:
    return Case(
        "AWS::Budgets::Budget",
        read_budget,
        Variant(budget(10, 80, {"stage": "a", "owner": "x"}), shown_budget(10, 80, stage="a", owner="x")),
        Variant(budget(20, 80, {"stage": "b"}), shown_budget(20, 80, stage="b")),
        Variant(budget(10, 90), shown_budget(10, 90)),
        ref=r"[\w-]+",
    )


def _renamed_budget() -> Case:
    return Case(
        "AWS::Budgets::Budget",
        read_budget,
        Variant(budget(10, 80, BudgetName="case-one"), shown_budget(10, 80)),
        Variant(budget(20, 80, BudgetName="case-one"), shown_budget(20, 80)),
        Variant(budget(10, 80, BudgetName="case-two"), shown_budget(10, 80)),
        ref="case-one",
    )


def _composite_alarm() -> Case:
    def properties(name: str, rule: str, **tags: str) -> Properties:
        action = f"arn:aws:sns:us-east-1:{ACCOUNT}:{rule.lower()}"
        return {"AlarmName": name, "AlarmRule": rule, "AlarmActions": [action], "Tags": _tagged(**tags)}

    def shown(rule: str, **tags: str) -> Shown:
        return {"rule": rule, "actions": [f"arn:aws:sns:us-east-1:{ACCOUNT}:{rule.lower()}"], "tags": tags}

    def read(aws: Aws, name: str) -> Shown | None:
        cloudwatch = aws("cloudwatch")
        found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        if not found:
            return None
        tags = cloudwatch.list_tags_for_resource(ResourceARN=found[0]["AlarmArn"])["Tags"]
        return {"rule": found[0]["AlarmRule"], "actions": found[0]["AlarmActions"], "tags": _tags(tags)}

    return Case(
        "AWS::CloudWatch::CompositeAlarm",
        read,
        Variant(properties("case-ill", "FALSE", stage="a"), shown("FALSE", stage="a")),
        Variant(properties("case-ill", "TRUE", stage="b"), shown("TRUE", stage="b")),
        Variant(properties("case-well", "FALSE"), shown("FALSE")),
        ref="case-ill",
        attributes={"Arn": rf"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:case-ill"},
    )


BALANCERS = {
    **NETWORK,
    **{
        name: {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Scheme": "internal", "Subnets": [{"Ref": "Subnet"}, {"Ref": "OtherSubnet"}]},
        }
        for name in ("Balancer", "OtherBalancer")
    },
}


def _vpc_origin() -> Case:
    def properties(balancer: str, port: int, **tags: str) -> Properties:
        config = {
            "Name": "case-origin",
            "Arn": {"Ref": balancer},
            "HTTPPort": port,
            "OriginProtocolPolicy": "http-only",
        }
        return {"VpcOriginEndpointConfig": config, "Tags": _tagged(**tags)}

    def read(aws: Aws, origin: str) -> Shown | None:
        cloudfront = aws("cloudfront")
        found = _described(cloudfront.get_vpc_origin, Id=origin)
        if found is None:
            return None
        config = found["VpcOrigin"]["VpcOriginEndpointConfig"]
        tags = cloudfront.list_tags_for_resource(Resource=found["VpcOrigin"]["Arn"])["Tags"]["Items"]
        return {"port": config["HTTPPort"], "policy": config["OriginProtocolPolicy"], "tags": _tags(tags)}

    return Case(
        "AWS::CloudFront::VpcOrigin",
        read,
        Variant(
            properties("Balancer", 80, stage="a", owner="x"),
            {"port": 80, "policy": "http-only", "tags": {"stage": "a", "owner": "x"}},
        ),
        Variant(
            properties("OtherBalancer", 8080, stage="b"),
            {"port": 8080, "policy": "http-only", "tags": {"stage": "b"}},
        ),
        None,
        ref=r"vo_\w{22}",
        attributes={"Id": r"vo_\w{22}", "Arn": rf"arn:aws:cloudfront::{ACCOUNT}:vpcorigin/vo_\w{{22}}"},
        support=BALANCERS,
    )


CASES = (
    _model(),
    _endpoint_config(),
    _endpoint(),
    _inference_component(),
    _scalable_target(),
    _scaling_policy(),
    _eip(),
    _nat_gateway(),
    _rule(
        "Ingress",
        {"CidrIpv6": "2001:db8::/32"},
        {"CidrIp": "10.0.0.0/8"},
        {"CidrIpv6": "2001:db8::/32"},
        {"CidrIpv4": "10.0.0.0/8"},
    ),
    _rule(
        "Egress",
        {"CidrIp": "10.1.0.0/16"},
        {"CidrIpv6": "2001:db8::/32"},
        {"CidrIpv4": "10.1.0.0/16"},
        {"CidrIpv6": "2001:db8::/32"},
    ),
    _oidc_provider(),
    _budget(),
    _composite_alarm(),
    _vpc_origin(),
)
RENAMED_BUDGET = _renamed_budget()
