"""CloudFront before an internal load balancer: HTTPS for callers, without a domain and certificate."""

from __future__ import annotations

import hashlib

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge
from infra.settings.rag import RagSettings

PORT = 80
"""Port of the load balancer's listener, plain HTTP: CloudFront would trust no certificate of an internal name."""
KEEP_ALIVE_SECONDS = 60
CACHED_STATUSES = (400, 403, 404, 405, 414, 500, 501, 502, 503, 504)
"""Statuses whose answers CloudFront keeps for 10 s unless a distribution says otherwise, whatever the cache policy is:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html,
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html."""
VIEWER_HEADER = "x-viewer-address"
"""The caller's address, as CloudFront saw it; a value that a caller sends is overwritten."""
NAME_THE_VIEWER = f"""function handler(event) {{
    var request = event.request;
    request.headers['{VIEWER_HEADER}'] = {{value: event.viewer.ip}};
    return request;
}}
"""


class Edge(Construct):
    """A distribution that passes every request on, and the VPC origin through which it reaches the load balancer.

    Nothing is cached, changed or compressed: answers are streams, and a compressor would hold their events back.
    CloudFront waits for the next bytes as long as the load balancer does; a stream that waits for the model sends an
    event every few seconds (services/rag/pipeline/waking.py).

    With CloudFront's own name and certificate, CloudFront decides which TLS versions callers may use; with a domain
    they are 1.2 and newer.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: RagSettings,
        load_balancer: elbv2.ApplicationLoadBalancer,
        listener: elbv2.ApplicationListener,
    ) -> None:
        super().__init__(scope, construct_id)
        origin = self._origin(load_balancer, listener)
        arn = settings.certificate_arn
        certificate = acm.Certificate.from_certificate_arn(self, "Certificate", arn) if arn else None
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{cdk.Stack.of(self).stack_name}: API",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.VpcOrigin.with_vpc_origin(
                    origin,
                    domain_name=load_balancer.load_balancer_dns_name,
                    read_timeout=cdk.Duration.seconds(settings.idle_timeout_seconds),
                    keepalive_timeout=cdk.Duration.seconds(min(KEEP_ALIVE_SECONDS, settings.idle_timeout_seconds)),
                ),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                # Forwards `Authorization`; the Host header is the load balancer's name.
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                compress=False,
                function_associations=[self._viewer()] if settings.web_acl else None,
            ),
            # A kept error would be answered to everybody, with or without a key.
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0)) for status in CACHED_STATUSES
            ],
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            # The cheapest edge locations; callers elsewhere are served from the nearest of them.
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            domain_names=[settings.domain_name] if settings.domain_name else None,
            certificate=certificate,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021 if certificate else None,
        )
        self._acknowledge(settings)

    def _origin(
        self, load_balancer: elbv2.ApplicationLoadBalancer, listener: elbv2.ApplicationListener
    ) -> cloudfront.VpcOrigin:
        """The VPC origin: another one for another load balancer, since CloudFront refuses to change one that is in use.

        Logical id and name carry a hash of what decides the load balancer, so that CloudFormation makes a new origin,
        points the distribution at it, and then drops the old one.
        """
        decisive = f"{_decisive(load_balancer)} {PORT}"
        digest = hashlib.sha256(decisive.encode()).hexdigest()[:8]
        origin = cloudfront.VpcOrigin(
            self,
            f"Origin{digest}",
            endpoint=cloudfront.VpcOriginEndpoint.application_load_balancer(load_balancer),
            vpc_origin_name=f"{self._global_name('edge')}-{digest}",
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTP_ONLY,
            http_port=PORT,
        )
        # A load balancer without a listener is no origin yet.
        origin.node.add_dependency(listener)
        return origin

    def _global_name(self, what: str) -> str:
        """A name that is unique in the account: CloudFront's names are those of all regions."""
        stack = cdk.Stack.of(self)
        return f"{stack.stack_name}-{what}-{stack.region}"

    def _viewer(self) -> cloudfront.FunctionAssociation:
        """Function that sets the header by which the web ACL counts requests."""
        function = cloudfront.Function(
            self,
            "Viewer",
            function_name=self._global_name("viewer"),
            code=cloudfront.FunctionCode.from_inline(NAME_THE_VIEWER),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment="Tells the load balancer who called",
        )
        return cloudfront.FunctionAssociation(function=function, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST)

    def _acknowledge(self, settings: RagSettings) -> None:
        for rule, reason in {
            "CFR1": "Access is limited by API keys, not by country.",
            "CFR2": "A web ACL is a setting, at the load balancer, with or without CloudFront in front.",
            "CFR3": "The service logs every request; access logs would add a bucket to empty before each deletion.",
        }.items():
            acknowledge(self.distribution, f"AwsSolutions-{rule}", reason)
        if settings.certificate_arn is None:
            acknowledge(
                self.distribution,
                "AwsSolutions-CFR4",
                "CloudFront sets the versions of TLS itself where its own certificate is used.",
            )


def _decisive(load_balancer: elbv2.ApplicationLoadBalancer) -> str:
    """What makes a load balancer another one: its logical id, and the properties whose change replaces it."""
    stack, found = cdk.Stack.of(load_balancer), load_balancer.node.default_child
    assert isinstance(found, elbv2.CfnLoadBalancer)  # noqa: S101 - what the construct is made of
    return str(stack.resolve([found.logical_id, found.name, found.scheme, found.type]))
