"""Network stack: VPC, endpoints and the security groups of the RAG service."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.rag.egress import outside_ports
from infra.constructs.rag.fargate_api import PORT, Placement
from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.logs import log_group
from infra.constructs.shared.trust import trust_own_account
from infra.constructs.vectors.store import PORT as STORE_PORT
from infra.settings.deployment import DeploymentSettings
from infra.settings.edge_limits import ORIGIN_FACING

PUBLIC, TASKS, BALANCER = "public", "tasks", "balancer"
"""Names of the subnet groups."""


class NetworkStack(cdk.Stack):
    """The stage's VPC."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: network")
        network = settings.network
        self.task_subnets = ec2.SubnetSelection(subnet_type=_task_subnet_type(settings))
        self.load_balancer_subnets = ec2.SubnetSelection(subnet_group_name=_load_balancer_subnets(settings))
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(network.cidr),
            availability_zones=list(settings.availability_zones),
            nat_gateways=network.nat_gateways if network.layout == "private" else 0,
            subnet_configuration=_subnets(settings),
            # CDK empties the default group by a Node custom resource; nothing uses that group.
            restrict_default_security_group=False,
        )
        if network.flow_logs:
            logs = log_group(self, "FlowLogs", settings.monitoring.log_retention_days)
            flow = self.vpc.add_flow_log("Flow", destination=ec2.FlowLogDestination.to_cloud_watch_logs(logs))
            assert flow.iam_role is not None  # noqa: S101 - made with the destination
            trust_own_account(flow.iam_role, service="ec2", resource="vpc-flow-log/*")
        else:
            acknowledge(
                self.vpc,
                "AwsSolutions-VPC7",
                "Flow logs are paid by volume; network.flow_logs enables them.",
            )
        # CloudFormation replaces a security group whose description changes: these keep their first one.
        self.load_balancer_group = self._group("LoadBalancerGroup", "Load balancer of the business service")
        self.service_group = self._group("ServiceGroup", "Tasks of the business service")
        self._rules(settings)
        self._endpoints(settings)

    @property
    def api_placement(self) -> Placement:
        """Where the RAG service runs."""
        return Placement(
            vpc=self.vpc,
            load_balancer_subnets=self.load_balancer_subnets,
            load_balancer_group=self.load_balancer_group,
            task_subnets=self.task_subnets,
            service_group=self.service_group,
        )

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, construct_id, vpc=self.vpc, description=description, allow_all_outbound=False)

    def _rules(self, settings: DeploymentSettings) -> None:
        public = settings.rag.edge == "load_balancer"
        port = ec2.Port.tcp(443 if public else 80)
        self.load_balancer_group.add_ingress_rule(_callers(settings), port, "Callers of the API")
        self.load_balancer_group.add_egress_rule(self.service_group, ec2.Port.tcp(PORT), "Tasks")
        self.service_group.add_ingress_rule(self.load_balancer_group, ec2.Port.tcp(PORT), "Load balancer only")
        for number in outside_ports(settings):
            self.service_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(number), "AWS, Opik, Qdrant, Sentry")
        if settings.vectors.hosted:
            # By the network's addresses, since the store's group is in a stack that is deployed after this one.
            inside = ec2.Peer.ipv4(settings.network.cidr)
            self.service_group.add_egress_rule(inside, ec2.Port.tcp(STORE_PORT), "Vector store")
        if public:
            acknowledge(
                self.load_balancer_group,
                "AwsSolutions-EC23",
                "A public API over HTTPS; every route but /healthz needs a key.",
            )

    def _endpoints(self, settings: DeploymentSettings) -> None:
        names = settings.network.interface_endpoints
        for name in names:
            self.vpc.add_interface_endpoint(
                f"Endpoint-{name}",
                service=ec2.InterfaceVpcEndpointAwsService({"sagemaker-runtime": "sagemaker.runtime"}.get(name, name)),
                subnets=self.task_subnets,
                security_groups=[self._endpoint_group(settings)],
                open=False,
            )
        if "ecr.dkr" in names:
            # ECR serves image layers from S3; a gateway endpoint costs nothing.
            self.vpc.add_gateway_endpoint("Endpoint-s3", service=ec2.GatewayVpcEndpointAwsService.S3)

    def _endpoint_group(self, settings: DeploymentSettings) -> ec2.ISecurityGroup:
        existing = self.node.try_find_child("EndpointGroup")
        if isinstance(existing, ec2.SecurityGroup):
            return existing
        group = ec2.SecurityGroup(
            self, "EndpointGroup", vpc=self.vpc, description="Interface endpoints", allow_all_outbound=False
        )
        group.add_ingress_rule(ec2.Peer.ipv4(settings.network.cidr), ec2.Port.tcp(443), "Callers inside the VPC")
        return group


def _task_subnet_type(settings: DeploymentSettings) -> ec2.SubnetType:
    if settings.network.layout == "public":
        return ec2.SubnetType.PUBLIC
    if settings.network.nat_gateways:
        return ec2.SubnetType.PRIVATE_WITH_EGRESS
    return ec2.SubnetType.PRIVATE_ISOLATED


def _callers(settings: DeploymentSettings) -> ec2.IPeer:
    """Addresses that may call the load balancer."""
    rag = settings.rag
    if rag.edge == "load_balancer":
        return ec2.Peer.any_ipv4()
    if rag.edge == "internal":
        return ec2.Peer.ipv4(settings.network.cidr)
    return ec2.Peer.prefix_list(rag.edge_prefix_list or ORIGIN_FACING[settings.region])


def _load_balancer_subnets(settings: DeploymentSettings) -> str:
    if settings.rag.edge == "load_balancer":
        return PUBLIC
    return TASKS if settings.network.layout == "private" else BALANCER


def _subnets(settings: DeploymentSettings) -> list[ec2.SubnetConfiguration]:
    def group(name: str, kind: ec2.SubnetType) -> ec2.SubnetConfiguration:
        return ec2.SubnetConfiguration(name=name, subnet_type=kind, cidr_mask=26)

    public = ec2.SubnetConfiguration(
        name=PUBLIC, subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False, cidr_mask=26
    )
    if settings.network.layout == "private":
        return [public, group(TASKS, _task_subnet_type(settings))]
    if settings.rag.edge == "load_balancer":
        return [public]
    # CloudFront reaches load balancers in private subnets; these have no route out and cost nothing.
    return [public, group(BALANCER, ec2.SubnetType.PRIVATE_ISOLATED)]
