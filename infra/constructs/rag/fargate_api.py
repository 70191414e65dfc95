"""The RAG service: a Fargate service behind an application load balancer."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from infra.constructs.rag.edge import Edge
from infra.constructs.rag.scaling import ServiceScaling
from infra.constructs.rag.web_acl import WebAcl
from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.logs import log_group
from infra.settings.rag import RagSettings

PORT = 8000
USER = "10001:10001"
HEALTH_PATH = "/healthz"
SPOT = ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=1)
"""Every task, none on demand as a base: of one task a base would be all. Spot runs ARM64 from platform 1.4.0 on:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html."""


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
        settings: RagSettings,
        release: str,
        vpc: ec2.IVpc,
        load_balancer_group: ec2.ISecurityGroup,
        service_group: ec2.ISecurityGroup,
        load_balancer_subnets: ec2.SubnetSelection,
        task_subnets: ec2.SubnetSelection,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_retention_days: int,
        namespace: str,
        stage: str,
    ) -> None:
        super().__init__(scope, construct_id)
        insights = ecs.ContainerInsights.ENABLED if settings.container_insights else ecs.ContainerInsights.DISABLED
        self.cluster = ecs.Cluster(self, "Cluster", vpc=vpc, container_insights_v2=insights)
        if not settings.container_insights:
            acknowledge(
                self.cluster, "AwsSolutions-ECS4", "Paid per task; the service publishes its own metrics and traces."
            )
        self.task = self._task(settings, release, environment, secrets, log_retention_days)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task,
            desired_count=settings.desired_count,
            security_groups=[service_group],
            vpc_subnets=task_subnets,
            # A public subnet without NAT reaches ECR and SageMaker only from a public address; nothing can get in.
            assign_public_ip=task_subnets.subnet_type == ec2.SubnetType.PUBLIC,
            capacity_provider_strategies=[SPOT] if settings.spot else None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=cdk.Duration.seconds(60),
        )
        if settings.spot:
            self._offer_spot()
        self.load_balancer, self.listener = self._load_balancer(
            settings, vpc, load_balancer_group, load_balancer_subnets
        )
        self.targets = self.listener.add_targets(
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
        ServiceScaling(
            self,
            "Scaling",
            settings=settings,
            service=self.service,
            targets=self.targets,
            namespace=namespace,
            stage=stage,
        )
        if settings.web_acl:
            WebAcl(self, "WebAcl", settings=settings, load_balancer=self.load_balancer)
        self.host, self.url = self._address(settings)

    def _offer_spot(self) -> None:
        providers = ecs.CfnClusterCapacityProviderAssociations(
            self,
            "Providers",
            cluster=self.cluster.cluster_name,
            capacity_providers=["FARGATE", SPOT.capacity_provider],
            default_capacity_provider_strategy=[],
        )
        # Before the service it is refused, after the service it cannot go.
        self.service.node.add_dependency(providers)

    def _address(self, settings: RagSettings) -> tuple[str, str]:
        """The name that a domain's record points to, and the URL for callers."""
        host = self.load_balancer.load_balancer_dns_name
        if settings.edge == "internal":
            return host, f"http://{host}"
        if settings.edge == "cloudfront":
            host = Edge(
                self, "Edge", settings=settings, load_balancer=self.load_balancer, listener=self.listener
            ).distribution.distribution_domain_name
        return host, f"https://{settings.domain_name or host}"

    def _task(
        self,
        settings: RagSettings,
        release: str,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_retention_days: int,
    ) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=settings.cpu,
            memory_limit_mib=settings.memory_mb,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        linux = ecs.LinuxParameters(self, "Linux", init_process_enabled=True)
        linux.add_tmpfs(
            ecs.Tmpfs(
                container_path="/tmp",  # noqa: S108 - the container's own, a size-limited tmpfs
                size=settings.tmpfs_mb,
                mount_options=[ecs.TmpfsMountOption.RW, ecs.TmpfsMountOption.NOSUID, ecs.TmpfsMountOption.NODEV],
            )
        )
        repository = ecr.Repository.from_repository_name(self, "Images", settings.image_repository)
        task.add_container(
            "api",
            container_name="api",
            image=ecs.ContainerImage.from_ecr_repository(repository, tag=release),
            command=["python", "-m", "services.rag"],
            environment={**environment, "PORT": str(PORT)},
            secrets=dict(secrets),
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=linux,
            port_mappings=[ecs.PortMapping(container_port=PORT, protocol=ecs.Protocol.TCP)],
            # Streams may run for drain_seconds after the stop signal; the margin is for flushing traces.
            stop_timeout=cdk.Duration.seconds(settings.drain_seconds + 10),
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix="api",
                log_group=log_group(self, "Logs", log_retention_days),
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            ),
        )
        acknowledge(
            task, "AwsSolutions-ECS2", "Plain variables hold addresses and numbers; every secret is an ECS secret."
        )
        acknowledge(
            task,
            "AwsSolutions-IAM5[Resource::*]",
            "ecr:GetAuthorizationToken, which pulling the image needs, knows no resource.",
        )
        return task

    def _load_balancer(
        self, settings: RagSettings, vpc: ec2.IVpc, group: ec2.ISecurityGroup, subnets: ec2.SubnetSelection
    ) -> tuple[elbv2.ApplicationLoadBalancer, elbv2.ApplicationListener]:
        balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=vpc,
            internet_facing=settings.edge == "load_balancer",
            vpc_subnets=subnets,
            security_group=group,
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
