"""A web ACL at the load balancer of the RAG service."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from infra.constructs.rag.edge import VIEWER_HEADER
from infra.settings.rag import RagSettings

WINDOW_SECONDS = 300
COUNTED = (
    "SizeRestrictions_BODY",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
)
"""Rules about bodies, which only count. A load balancer shows the web ACL 8 kB of a body, and a conversation may be
longer; and questions may be about code, paths and addresses. A body is JSON whose text is never run, opened or fetched:
https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-setting-body-inspection-limit.html,
https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html."""
COUNTED_BAD_INPUTS = ("JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY")
"""The same of the known bad inputs: a question about Log4Shell, or a pasted log, holds what these look for."""


class WebAcl(Construct):
    """Rate limit per address, AWS's common rules and known bad inputs.

    Regional, at the load balancer: a web ACL for CloudFront exists in us-east-1 only, so that a stage elsewhere would
    need a stack there; this one serves a stage of any region, with or without CloudFront in front.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: RagSettings,
        load_balancer: elbv2.ApplicationLoadBalancer,
    ) -> None:
        super().__init__(scope, construct_id)
        self.acl = waf.CfnWebACL(
            self,
            "Acl",
            scope="REGIONAL",
            description="API of the RAG service",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=_visible("Acl"),
            rules=[
                _rate(settings),
                _managed(1, "AWSManagedRulesCommonRuleSet", COUNTED),
                _managed(2, "AWSManagedRulesKnownBadInputsRuleSet", COUNTED_BAD_INPUTS),
            ],
        )
        waf.CfnWebACLAssociation(
            self, "Association", resource_arn=load_balancer.load_balancer_arn, web_acl_arn=self.acl.attr_arn
        )


def _rate(settings: RagSettings) -> waf.CfnWebACL.RuleProperty:
    statement = waf.CfnWebACL.RateBasedStatementProperty
    limit = settings.web_acl_requests_per_address
    if settings.edge == "cloudfront":
        # The load balancer sees CloudFront's addresses. A caller cannot forge a header that CloudFront overwrites, as
        # it can the first entry of X-Forwarded-For.
        rate = statement(
            limit=limit,
            evaluation_window_sec=WINDOW_SECONDS,
            aggregate_key_type="FORWARDED_IP",
            forwarded_ip_config=waf.CfnWebACL.ForwardedIPConfigurationProperty(
                header_name=VIEWER_HEADER, fallback_behavior="NO_MATCH"
            ),
        )
    else:
        rate = statement(limit=limit, evaluation_window_sec=WINDOW_SECONDS, aggregate_key_type="IP")
    return waf.CfnWebACL.RuleProperty(
        name="RatePerAddress",
        priority=0,
        action=waf.CfnWebACL.RuleActionProperty(block={}),
        statement=waf.CfnWebACL.StatementProperty(rate_based_statement=rate),
        visibility_config=_visible("RatePerAddress"),
    )


def _managed(priority: int, name: str, counted: Sequence[str] = ()) -> waf.CfnWebACL.RuleProperty:
    overrides = [
        waf.CfnWebACL.RuleActionOverrideProperty(
            name=rule, action_to_use=waf.CfnWebACL.RuleActionProperty(count=waf.CfnWebACL.CountActionProperty())
        )
        for rule in counted
    ]
    group = waf.CfnWebACL.ManagedRuleGroupStatementProperty(
        vendor_name="AWS", name=name, rule_action_overrides=overrides or None
    )
    return waf.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
        statement=waf.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
        visibility_config=_visible(name),
    )


def _visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
    # Sampled requests would show callers' keys.
    return waf.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
