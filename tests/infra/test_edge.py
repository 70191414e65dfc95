"""The edge that callers reach: HTTPS only, and no path around it."""

from __future__ import annotations

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from pydantic import ValidationError

from infra.constructs.rag.edge import Edge
from infra.settings.deployment import SettingsError, load_settings
from infra.settings.rag import RagSettings
from services.rag.pipeline.waking import HEARTBEAT_SECONDS

from .conftest import STAGES, Synthesize, Template, Templates, only, read, resources

CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/abc-def"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
"""Ids of CloudFront's managed policies, the same in every account:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html and
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html."""
EVERY_STAGE = pytest.mark.parametrize("stage", STAGES)


def configuration(template: Template) -> Template:
    found: Template = only(template, "CloudFront::Distribution")["DistributionConfig"]
    return found


def incoming(network: Template, port: int) -> list[Template]:
    """Rules that let something in on a port, inside a group or beside it."""
    inline = [
        rule
        for group in resources(network, "EC2::SecurityGroup").values()
        for rule in group["Properties"].get("SecurityGroupIngress", [])
    ]
    apart = [rule["Properties"] for rule in resources(network, "EC2::SecurityGroupIngress").values()]
    return [rule for rule in (*inline, *apart) if rule["FromPort"] == port]


@EVERY_STAGE
def test_callers_use_https_and_nothing_is_cached_or_compressed(templates: dict[str, Templates], stage: str) -> None:
    business = templates[stage]["business"]
    behaviour = configuration(business)["DefaultCacheBehavior"]
    assert behaviour["ViewerProtocolPolicy"] == "https-only"
    assert behaviour["CachePolicyId"] == CACHING_DISABLED
    assert behaviour["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST
    assert behaviour["Compress"] is False
    assert "POST" in behaviour["AllowedMethods"]
    (distribution,) = resources(business, "CloudFront::Distribution")
    name = {"Fn::GetAtt": [distribution, "DomainName"]}
    assert business["Outputs"]["ApiUrl"]["Value"] == {"Fn::Join": ["", ["https://", name]]}
    assert business["Outputs"]["ApiHost"]["Value"] == name


@EVERY_STAGE
def test_no_error_is_kept_for_the_next_caller(templates: dict[str, Templates], stage: str) -> None:
    """CloudFront keeps errors for 10 s, whatever the cache policy says, and not by the caller's key:
    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html.
    """
    kept = {
        each["ErrorCode"]: each["ErrorCachingMinTTL"]
        for each in configuration(templates[stage]["business"])["CustomErrorResponses"]
    }
    assert {400, 403, 404, 500, 502, 503, 504} <= set(kept)
    assert set(kept.values()) == {0}


@EVERY_STAGE
def test_a_stream_is_waited_for_as_long_as_by_the_load_balancer(templates: dict[str, Templates], stage: str) -> None:
    business = templates[stage]["business"]
    (origin,) = configuration(business)["Origins"]
    attributes = only(business, "ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
    (idle,) = [each["Value"] for each in attributes if each["Key"] == "idle_timeout.timeout_seconds"]
    read = origin["VpcOriginConfig"]["OriginReadTimeout"]
    assert str(read) == idle
    (task,) = resources(business, "ECS::TaskDefinition").values()
    (container,) = task["Properties"]["ContainerDefinitions"]
    variables = {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    # A connection that the service closes first is a 502 when the balancer uses it at that moment.
    assert int(variables["KEEP_ALIVE_SECONDS"]) > int(idle)
    assert 2 * HEARTBEAT_SECONDS < read <= 120


@EVERY_STAGE
def test_the_load_balancer_accepts_cloudfront_only(templates: dict[str, Templates], stage: str) -> None:
    network, business = templates[stage]["network"], templates[stage]["business"]
    assert only(business, "ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internal"
    (rule,) = incoming(network, 80)
    assert rule["SourcePrefixListId"] == "pl-3b927c52"
    assert {"CidrIp", "CidrIpv6", "SourceSecurityGroupId"}.isdisjoint(rule)
    assert {rule["CidrIp"] for rule in incoming(network, 443)} <= {"10.40.0.0/16"}
    (origin,) = resources(business, "CloudFront::VpcOrigin").values()
    endpoint = origin["Properties"]["VpcOriginEndpointConfig"]
    (balancer,) = resources(business, "ElasticLoadBalancingV2::LoadBalancer")
    (listener,) = resources(business, "ElasticLoadBalancingV2::Listener")
    assert (endpoint["Arn"], endpoint["HTTPPort"], endpoint["OriginProtocolPolicy"]) == (
        {"Ref": balancer},
        only(business, "ElasticLoadBalancingV2::Listener")["Port"],
        "http-only",
    )
    assert listener in origin["DependsOn"]
    assert endpoint["Name"].startswith(f"twin-{stage}-")


@EVERY_STAGE
def test_the_load_balancer_is_in_subnets_without_a_way_in(templates: dict[str, Templates], stage: str) -> None:
    """VPC origins are load balancers in private subnets."""
    network = templates[stage]["network"]
    subnets = only(templates[stage]["business"], "ElasticLoadBalancingV2::LoadBalancer")["Subnets"]
    told = {
        output: found["Value"]["Ref"] for output, found in network["Outputs"].items() if "Ref" in str(found["Value"])
    }
    placed = {told[subnet["Fn::GetStackOutput"]["OutputName"]] for subnet in subnets}
    assert len(placed) == 2
    public = {
        route["Properties"]["RouteTableId"]["Ref"]
        for route in resources(network, "EC2::Route").values()
        if "GatewayId" in route["Properties"]
    }
    tables = {
        found["Properties"]["SubnetId"]["Ref"]: found["Properties"]["RouteTableId"]["Ref"]
        for found in resources(network, "EC2::SubnetRouteTableAssociation").values()
    }
    assert public
    assert public.isdisjoint({tables[subnet] for subnet in placed})


def test_a_domain_at_cloudfront_means_tls_1_2_and_newer() -> None:
    stack = cdk.Stack(cdk.App(), "twin-dev-business", env=cdk.Environment(account="1" * 12, region="us-east-1"))
    vpc = ec2.Vpc(stack, "Vpc", availability_zones=["us-east-1a", "us-east-1b"])
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc)
    listener = balancer.add_listener("Http", port=80, default_action=elbv2.ListenerAction.fixed_response(404))
    settings = RagSettings.model_validate({"certificate_arn": CERTIFICATE, "domain_name": "twin.example.com"})
    Edge(stack, "Edge", settings=settings, load_balancer=balancer, listener=listener)
    found = configuration(dict(assertions.Template.from_stack(stack).to_json()))
    assert found["Aliases"] == ["twin.example.com"]
    assert found["ViewerCertificate"] == {
        "AcmCertificateArn": CERTIFICATE,
        "MinimumProtocolVersion": "TLSv1.2_2021",
        "SslSupportMethod": "sni-only",
    }


def test_a_load_balancer_without_cloudfront_is_public_over_https_only(synthesize: Synthesize) -> None:
    variables = {
        "TWIN_RAG__EDGE": "load_balancer",
        "TWIN_RAG__CERTIFICATE_ARN": CERTIFICATE,
        "TWIN_RAG__DOMAIN_NAME": "twin.example.com",
    }
    found = read(synthesize("prod", variables), "prod")
    listener = only(found["business"], "ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert only(found["business"], "ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internet-facing"
    assert found["business"]["Outputs"]["ApiUrl"]["Value"] == "https://twin.example.com"
    assert not resources(found["business"], "CloudFront::Distribution")
    assert incoming(found["network"], 80) == []
    assert "0.0.0.0/0" in {rule["CidrIp"] for rule in incoming(found["network"], 443)}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"edge": "load_balancer"}, "needs certificate_arn"),
        ({"edge": "internal", "certificate_arn": CERTIFICATE, "domain_name": "a.example.com"}, "uses no certificate"),
        (
            {"certificate_arn": CERTIFICATE.replace("us-east-1", "eu-west-1"), "domain_name": "a.example.com"},
            "certificates of us-east-1",
        ),
        ({"idle_timeout_seconds": 121}, "120 s at most"),
    ],
    ids=["no certificate", "unused certificate", "elsewhere", "too patient"],
)
def test_an_edge_that_cannot_work_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RagSettings.model_validate(values)


def test_a_region_whose_prefix_list_is_not_known_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_REGION", "af-south-1")
    with pytest.raises(SettingsError, match="describe-managed-prefix-lists --region af-south-1"):
        load_settings("dev")
    monkeypatch.setenv("TWIN_RAG__EDGE_PREFIX_LIST", "pl-0123456789abcdef0")
    assert load_settings("dev").rag.edge_prefix_list == "pl-0123456789abcdef0"


def test_a_load_balancer_that_is_replaced_gets_another_vpc_origin() -> None:
    """CloudFront refuses to change a VPC origin that is in use: https://github.com/aws/aws-cdk/issues/35765."""

    def origin(*, internet_facing: bool) -> tuple[str, str]:
        """Logical id and name."""
        stack = cdk.Stack(cdk.App(), "twin-dev-business", env=cdk.Environment(account="1" * 12, region="eu-west-1"))
        vpc = ec2.Vpc(stack, "Vpc", availability_zones=["eu-west-1a", "eu-west-1b"])
        balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc, internet_facing=internet_facing)
        listener = balancer.add_listener("Http", port=80, default_action=elbv2.ListenerAction.fixed_response(404))
        Edge(stack, "Edge", settings=RagSettings(web_acl=True), load_balancer=balancer, listener=listener)
        template = dict(assertions.Template.from_stack(stack).to_json())
        assert only(template, "CloudFront::Function")["Name"] == "twin-dev-business-viewer-eu-west-1"
        ((logical_id, found),) = resources(template, "CloudFront::VpcOrigin").items()
        return logical_id, found["Properties"]["VpcOriginEndpointConfig"]["Name"]

    (inner, outer), again = (origin(internet_facing=facing) for facing in (False, True)), origin(internet_facing=False)
    assert inner == again
    assert inner[0] != outer[0] and inner[1] != outer[1]
    # The names of both are those of all regions: https://github.com/aws/aws-cdk/pull/35338.
    assert inner[1].startswith("twin-dev-business-edge-eu-west-1-")
