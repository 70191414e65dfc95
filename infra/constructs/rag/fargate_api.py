"""The RAG service: a Fargate service behind an application load balancer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from infra.constructs.rag.container import add_program, image_task
from infra.constructs.rag.edge import Edge
from infra.constructs.rag.scaling import ServiceScaling
from infra.constructs.rag.web_acl import WebAcl
from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.logs import log_group
from infra.settings.deployment import DeploymentSettings
from infra.settings.rag import RagSettings

PORT = 8000
HEALTH_PATH = "/healthz"
SPOT = ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=1)
"""Every task on Spot, without an on-demand base, which of one task would be all. It runs ARM64 from platform 1.4.0 on:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html."""


@dataclass(frozen=True)
class Placement:
    """Network of the API: its VPC, and subnets and security group of the load balancer and of the tasks."""

    vpc: ec2.IVpc
    load_balancer_subnets: ec2.SubnetSelection
    load_balancer_group: ec2.ISecurityGroup
    task_subnets: ec2.SubnetSelection
    service_group: ec2.ISecurityGroup


class FargateApi(Construct):
    """Cluster, task definition, service, load balancer and scaling.

    What callers reach speaks HTTPS: CloudFront before an internal load balancer, or the load balancer itself with a
    certificate. Otherwise it is internal. API keys therefore never cross the internet in the clear.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        placement: Placement,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
    ) -> None:
        """Declare the service.

        Args:
            scope: parent.
            construct_id: of this construct.
            settings: of the stage.
            placement: where in the network load balancer and tasks run.
            environment: plain variables of the container.
            secrets: variables of the container that ECS reads from their stores when a task starts.
        """
        super().__init__(scope, construct_id)
        rag = settings.rag
        self.cluster = self._cluster(rag, placement)
        self.logs = log_group(self, "Logs", settings.monitoring.log_retention_days)
        self.task = self._task(settings, environment, secrets)
        self.service = self._service(rag, placement)
        if rag.spot:
            self._offer_spot()
        self.load_balancer, self.listener = self._load_balancer(rag, placement)
        self.targets = self._targets(rag)
        ServiceScaling(
            self,
            "Scaling",
            settings=rag,
            service=self.service,
            targets=self.targets,
            namespace=settings.evaluation.metric_namespace,
            stage=settings.stage,
        )
        if rag.web_acl:
            WebAcl(self, "WebAcl", settings=rag, load_balancer=self.load_balancer)
        self.host, self.url = self._address(rag)

    def _cluster(self, settings: RagSettings, placement: Placement) -> ecs.Cluster:
        insights = ecs.ContainerInsights.ENABLED if settings.container_insights else ecs.ContainerInsights.DISABLED
        cluster = ecs.Cluster(self, "Cluster", vpc=placement.vpc, container_insights_v2=insights)
        if not settings.container_insights:
            why = "Paid per task; the service publishes its own metrics and traces."
            acknowledge(cluster, "AwsSolutions-ECS4", why)
        return cluster

    def _service(self, settings: RagSettings, placement: Placement) -> ecs.FargateService:
        return ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task,
            desired_count=settings.desired_count,
            security_groups=[placement.service_group],
            vpc_subnets=placement.task_subnets,
            # A public subnet without NAT reaches ECR and SageMaker only from a public address; nothing can get in.
            assign_public_ip=placement.task_subnets.subnet_type == ec2.SubnetType.PUBLIC,
            capacity_provider_strategies=[SPOT] if settings.spot else None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=cdk.Duration.seconds(60),
            # Fargate bills tasks, which without this have no tags of their own:
            # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            enable_ecs_managed_tags=True,
        )

    def _targets(self, settings: RagSettings) -> elbv2.ApplicationTargetGroup:
        return self.listener.add_targets(
            "Targets",
            port=PORT,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[self.service.load_balancer_target(container_name="api", container_port=PORT)],
            deregistration_delay=cdk.Duration.seconds(settings.drain_seconds),
            health_check=elbv2.HealthCheck(
                path=HEALTH_PATH,
                healthy_http_codes="200",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _offer_spot(self) -> None:
        providers = ecs.CfnClusterCapacityProviderAssociations(
            self,
            "Providers",
            cluster=self.cluster.cluster_name,
            capacity_providers=["FARGATE", SPOT.capacity_provider],
            default_capacity_provider_strategy=[],
        )
        # ECS refuses a service before its provider is associated, and cannot remove a provider that a service uses.
        self.service.node.add_dependency(providers)

    def _address(self, settings: RagSettings) -> tuple[str, str]:
        """Host that a domain's record points to, and the URL for callers."""
        host = self.load_balancer.load_balancer_dns_name
        if settings.edge == "internal":
            return host, f"http://{host}"
        if settings.edge == "cloudfront":
            host = Edge(
                self, "Edge", settings=settings, load_balancer=self.load_balancer, listener=self.listener
            ).distribution.distribution_domain_name
        return host, f"https://{settings.domain_name or host}"

    def _task(
        self, settings: DeploymentSettings, environment: Mapping[str, str], secrets: Mapping[str, ecs.Secret]
    ) -> ecs.FargateTaskDefinition:
        task = image_task(self, "Task", settings, "api")
        add_program(
            task,
            "api",
            settings,
            command=["python", "-m", "services.rag"],
            environment={**environment, "PORT": str(PORT)},
            secrets=secrets,
            log_group=self.logs,
            # Streams may run for drain_seconds after the stop signal; the margin is for flushing traces.
            stop_timeout=cdk.Duration.seconds(settings.rag.drain_seconds + 10),
            port=PORT,
        )
        return task

    def _load_balancer(
        self, settings: RagSettings, placement: Placement
    ) -> tuple[elbv2.ApplicationLoadBalancer, elbv2.ApplicationListener]:
        balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=placement.vpc,
            internet_facing=settings.edge == "load_balancer",
            vpc_subnets=placement.load_balancer_subnets,
            security_group=placement.load_balancer_group,
            idle_timeout=cdk.Duration.seconds(settings.idle_timeout_seconds),
            drop_invalid_header_fields=True,
        )
        acknowledge(
            balancer,
            "AwsSolutions-ELB2",
            "The service logs every request; access logs would add a bucket to empty before each deletion.",
        )
        if settings.edge != "load_balancer" or settings.certificate_arn is None:
            listener = balancer.add_listener("Http", port=80, protocol=elbv2.ApplicationProtocol.HTTP, open=False)
        else:
            listener = balancer.add_listener(
                "Https",
                port=443,
                protocol=elbv2.ApplicationProtocol.HTTPS,
                certificates=[acm.Certificate.from_certificate_arn(self, "Certificate", settings.certificate_arn)],
                ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS,
                open=False,
            )
        return balancer, listener
