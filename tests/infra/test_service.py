"""The RAG service in operation: rollback of deployments, scaling, Fargate Spot, the web ACL."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2

from infra.constructs.rag.fargate_api import FargateApi, Placement
from infra.settings.deployment import load_settings
from infra.settings.rag import RagSettings
from services.rag.telemetry.emf import EmfWriter
from services.rag.telemetry.metrics import Measured

from .conftest import STAGES, Template, Templates, only, resources

BODIES = "_BODY"


def test_a_release_that_fails_after_its_start_is_rolled_back(dev: Templates) -> None:
    business = dev["business"]
    deployment = only(business, "ECS::Service")["DeploymentConfiguration"]
    watched = deployment["Alarms"]
    assert (watched["Enable"], watched["Rollback"]) == (True, True)
    metrics = {_watched(business["Resources"][name["Ref"]]["Properties"]) for name in watched["AlarmNames"]}
    # To a load balancer a stream that ends in an error is a 200.
    assert metrics == {"UnHealthyHostCount", "ServerErrors"}
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def _watched(alarm: dict[str, Any]) -> str:
    """The metric of an alarm, which CDK writes as a query when it has a label."""
    (query,) = alarm.get("Metrics", [{"MetricStat": {"Metric": alarm}}])
    return str(query["MetricStat"]["Metric"]["MetricName"])


def late(business: Template) -> Template:
    """The alarm on late first tokens."""
    (found,) = (
        alarm["Properties"]
        for alarm in resources(business, "CloudWatch::Alarm").values()
        if "ttft" in str(alarm["Properties"].get("Metrics"))
    )
    return dict(found)


def test_late_first_tokens_add_one_task_and_take_none_away(dev: Templates) -> None:
    business = dev["business"]
    alarm = late(business)
    (action,) = alarm["AlarmActions"]
    policy = business["Resources"][action["Ref"]]["Properties"]
    (step,) = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert (policy["PolicyType"], step["ScalingAdjustment"], step["MetricIntervalLowerBound"]) == ("StepScaling", 1, 0)
    assert policy["StepScalingPolicyConfiguration"]["Cooldown"] >= 300
    assert alarm["Threshold"] == 5000


def test_a_sleeping_model_and_silence_scale_nothing_out(dev: Templates) -> None:
    alarm = late(dev["business"])
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"] >= 3
    queries = {query["Id"]: query for query in alarm["Metrics"]}
    assert queries["late"]["Expression"] == "IF(held > 0, 0, ttft)"
    assert [each["Id"] for each in alarm["Metrics"] if each["ReturnData"]] == ["late"]


def test_the_metrics_of_scaling_are_those_that_the_service_writes(
    dev: Templates, capsys: pytest.CaptureFixture[str]
) -> None:
    EmfWriter("LLMTwin", "dev").request(
        route="/rag", status=200, seconds=1, measured=Measured(ttft=0.5), held=0, shed=0, request_id="", trace_id=""
    )
    (written,) = json.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
    for query in late(dev["business"])["Metrics"]:
        if "MetricStat" not in query:
            continue
        metric = query["MetricStat"]["Metric"]
        assert metric["Namespace"] == written["Namespace"]
        assert [[dimension["Name"] for dimension in metric["Dimensions"]]] == written["Dimensions"]
        assert metric["MetricName"] in {each["Name"] for each in written["Metrics"]}


def service(**values: Any) -> Template:
    """A template with the service alone."""
    stack = cdk.Stack(cdk.App(), "twin-dev-business", env=cdk.Environment(account="1" * 12, region="us-east-1"))
    vpc = ec2.Vpc(stack, "Vpc", availability_zones=["us-east-1a", "us-east-1b"], nat_gateways=0)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    public = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
    FargateApi(
        stack,
        "Api",
        settings=load_settings("dev").model_copy(update={"rag": RagSettings.model_validate(values)}),
        placement=Placement(
            vpc=vpc,
            load_balancer_subnets=public,
            load_balancer_group=group,
            task_subnets=public,
            service_group=group,
        ),
        environment={},
        secrets={},
    )
    return dict(assertions.Template.from_stack(stack).to_json())


def test_the_service_uses_fargate_spot_only_after_the_cluster_has_it() -> None:
    template = service(spot=True, edge="internal")
    (made,) = resources(template, "ECS::Service").values()
    assert made["Properties"]["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
    assert "LaunchType" not in made["Properties"]
    (offered,) = resources(template, "ECS::ClusterCapacityProviderAssociations")
    assert offered in made["DependsOn"]


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_runs_on_fargate_spot_by_default(templates: dict[str, Templates], stage: str) -> None:
    assert only(templates[stage]["business"], "ECS::Service")["LaunchType"] == "FARGATE"


def test_prod_has_a_web_acl_at_its_load_balancer(templates: dict[str, Templates]) -> None:
    business = templates["prod"]["business"]
    acl = only(business, "WAFv2::WebACL")
    association = only(business, "WAFv2::WebACLAssociation")
    (balancer,) = resources(business, "ElasticLoadBalancingV2::LoadBalancer")
    assert (acl["Scope"], association["ResourceArn"]) == ("REGIONAL", {"Ref": balancer})
    rules = {rule["Name"]: rule for rule in acl["Rules"]}
    assert set(rules) == {"RatePerAddress", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"}
    counted = {
        override["Name"]: override["ActionToUse"]
        for name in ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet")
        for override in rules[name]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    }
    assert all(action == {"Count": {}} for action in counted.values())
    assert {"SizeRestrictions_BODY", "Log4JRCE_BODY", "JavaDeserializationRCE_BODY", "ReactJSRCE_BODY"} <= set(counted)
    assert all(name.endswith(BODIES) for name in counted)
    # Samples hold headers, and headers hold keys.
    assert {rule["VisibilityConfig"]["SampledRequestsEnabled"] for rule in acl["Rules"]} == {False}
    assert not resources(templates["dev"]["business"], "WAFv2::WebACL")


def test_behind_cloudfront_the_web_acl_counts_by_an_address_that_no_caller_can_forge(
    templates: dict[str, Templates],
) -> None:
    business = templates["prod"]["business"]
    (rate,) = (rule for rule in only(business, "WAFv2::WebACL")["Rules"] if rule["Name"] == "RatePerAddress")
    statement = rate["Statement"]["RateBasedStatement"]
    assert (statement["Limit"], rate["Action"]) == (1000, {"Block": {}})
    header = statement["ForwardedIPConfig"]["HeaderName"]
    (name,) = resources(business, "CloudFront::Function")
    function = only(business, "CloudFront::Function")
    assert f"request.headers['{header}'] = {{value: event.viewer.ip}};" in function["FunctionCode"]
    behaviour = only(business, "CloudFront::Distribution")["DistributionConfig"]["DefaultCacheBehavior"]
    assert behaviour["FunctionAssociations"] == [
        {"EventType": "viewer-request", "FunctionARN": {"Fn::GetAtt": [name, "FunctionARN"]}}
    ]


def test_a_public_load_balancer_sees_callers_itself() -> None:
    certificate = "arn:aws:acm:us-east-1:111122223333:certificate/abc-def"
    template = service(edge="load_balancer", certificate_arn=certificate, domain_name="twin.example.com", web_acl=True)
    (rate,) = (rule for rule in only(template, "WAFv2::WebACL")["Rules"] if rule["Name"] == "RatePerAddress")
    assert rate["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
    assert not resources(template, "CloudFront::Function")
