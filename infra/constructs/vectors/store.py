"""Qdrant hosted by the stage: resources that stay (data, address, key, certificate), and a replaceable machine."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.secret import placeholder_secret
from infra.constructs.vectors.machine import VectorMachine
from infra.constructs.vectors.snapshots import VectorSnapshots
from infra.names import PROJECT
from infra.settings.retrieval import HostedVectors

PORT = 6333
DATA = "/var/lib/qdrant"
FOLDER = "daily/"
"""Of the backups in their bucket."""
NO_CERTIFICATE = "The machine puts its certificate here when it starts."
"""Initial value. CloudFormation writes it again, over the certificate, with any change of the parameter."""
PART = "vectors"
"""Value of the tag `part`, by which the machine's role is limited to this machine."""
SESSION_MANAGER = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]
"""Calls of the SSM agent for sessions and tunnels; none of them has resource-level permissions."""


class VectorBackups(Construct):
    """Bucket of the daily backups: encrypted, closed to the public and to plain HTTP; backups expire after `days`."""

    def __init__(self, scope: Construct, construct_id: str, *, days: int, removal: cdk.RemovalPolicy) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    prefix=FOLDER,
                    expiration=cdk.Duration.days(days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=removal,
        )
        acknowledge(
            self.bucket,
            "AwsSolutions-S1",
            "Only the store's machine writes here; an access log would be one more bucket to keep and to empty.",
        )


class VectorStore(Construct):
    """Volume, address, key, certificate, backups, and a machine that uses them.

    Attributes:
        url: its address inside the VPC, the same for its whole life.
        api_key: the key that may write; an ingest and a restore need it.
        read_key: the key that may read only; the service has no other.
        certificate: the self-signed certificate that callers pin, as PEM.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: HostedVectors,
        stage: str,
        metric_namespace: str,
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet,
        is_public: bool,
        callers: ec2.ISecurityGroup,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        retain = stage == "prod" if settings.retain is None else settings.retain
        # Retained at deletion and replacement, but not when the first deployment fails: nothing is in it yet.
        removal = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else cdk.RemovalPolicy.DESTROY
        self.api_key: secretsmanager.ISecret = placeholder_secret(self, "ApiKey", "API key of Qdrant")
        self.read_key: secretsmanager.ISecret = placeholder_secret(self, "ReadKey", "Read-only API key of Qdrant")
        self.certificate = ssm.StringParameter(
            self, "Certificate", description="Certificate of Qdrant, which callers pin", string_value=NO_CERTIFICATE
        )
        self.backups = VectorBackups(self, "Backups", days=settings.backup_days, removal=removal)
        self.volume = ec2.Volume(
            self,
            "Volume",
            availability_zone=subnet.availability_zone,
            size=cdk.Size.gibibytes(settings.volume_gb),
            volume_type=ec2.EbsDeviceVolumeType.GP3,
            encrypted=True,
            removal_policy=removal,
        )
        acknowledge(self.volume, "CloudFormation-Validate::W3010", "Zones are settings: a synthesis makes no look-up.")
        if settings.volume_snapshots_kept:
            VectorSnapshots(self, "Snapshots", settings=settings, stage=stage, volume=self.volume)
        self.interface = self._interface(vpc, subnet, callers)
        self.url = f"https://{self.interface.attr_primary_private_ip_address}:{PORT}"
        role = self._role(stage, metric_namespace)
        self.machine = VectorMachine(
            self,
            "Machine",
            settings=settings,
            vpc=vpc,
            subnet=subnet,
            group=self._outbound(vpc),
            role=role,
            environment={
                "AWS_REGION": stack.region,
                "STAGE": stage,
                "DATA": DATA,
                "PORT": str(PORT),
                "VOLUME_ID": self.volume.volume_id,
                "INTERFACE_ID": self.interface.attr_id,
                "ADDRESS": self.interface.attr_primary_private_ip_address,
                "QDRANT_VERSION": settings.qdrant_version,
                "QDRANT_SHA256": settings.qdrant_sha256,
                "KEY_SECRET_ARN": self.api_key.secret_arn,
                "READ_KEY_SECRET_ARN": self.read_key.secret_arn,
                "CERTIFICATE_PARAMETER": self.certificate.parameter_name,
                "BACKUP_BUCKET": self.backups.bucket.bucket_name,
                "BACKUP_HOUR": str(settings.backup_hour),
                "METRIC_NAMESPACE": metric_namespace,
            },
            has_public_address=is_public,
        )
        cdk.Tags.of(self.machine.group).add("part", PART)
        # The first machine, too, must have every permission when it starts.
        self.machine.group.node.add_dependency(role)

    def _interface(self, vpc: ec2.IVpc, subnet: ec2.ISubnet, callers: ec2.ISecurityGroup) -> ec2.CfnNetworkInterface:
        group = ec2.SecurityGroup(
            self, "Callers", vpc=vpc, description="Vector store: the business service calls", allow_all_outbound=False
        )
        group.add_ingress_rule(callers, ec2.Port.tcp(PORT), "Tasks of the RAG service")
        return ec2.CfnNetworkInterface(
            self,
            "Interface",
            subnet_id=subnet.subnet_id,
            group_set=[group.security_group_id],
            description="Address of the vector store",
        )

    def _outbound(self, vpc: ec2.IVpc) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Outbound",
            vpc=vpc,
            description="Vector store: out to AWS and the download of Qdrant",
            allow_all_outbound=False,
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS and the download of Qdrant")
        return group

    def _role(self, stage: str, metric_namespace: str) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="What the vector store's machine may do: attach volume and address, back up, publish metrics",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
        )
        backups = self.backups.bucket.arn_for_objects(f"{FOLDER}*")
        machines = stack.format_arn(service="ec2", resource="instance", resource_name="*")
        for sid, actions, resource in (
            ("ReadKey", ["secretsmanager:GetSecretValue"], self.api_key.secret_arn),
            ("ReadReadOnlyKey", ["secretsmanager:GetSecretValue"], self.read_key.secret_arn),
            ("PublishCertificate", ["ssm:PutParameter"], self.certificate.parameter_arn),
            ("WriteBackups", ["s3:PutObject", "s3:AbortMultipartUpload"], backups),
            ("TakeVolume", ["ec2:AttachVolume"], self._arn("volume", self.volume.volume_id)),
            ("TakeAddress", ["ec2:AttachNetworkInterface"], self._arn("network-interface", self.interface.attr_id)),
        ):
            role.add_to_policy(iam.PolicyStatement(sid=sid, actions=actions, resources=[resource]))
        role.add_to_policy(
            iam.PolicyStatement(
                sid="ToItself",
                actions=["ec2:AttachVolume", "ec2:AttachNetworkInterface"],
                resources=[machines],
                conditions={
                    "StringEquals": {
                        "aws:ResourceTag/project": PROJECT,
                        "aws:ResourceTag/stage": stage,
                        "aws:ResourceTag/part": PART,
                    }
                },
            )
        )
        role.add_to_policy(iam.PolicyStatement(sid="BeReached", actions=SESSION_MANAGER, resources=["*"]))
        role.add_to_policy(
            iam.PolicyStatement(
                sid="SayHowItIs",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": metric_namespace}},
            )
        )
        for finding, reason in (
            (
                "*",
                "None has resource-level permissions; PutMetricData is limited to one namespace.",
            ),
            (
                readable(self, machines),
                "A machine's id is unknown before it exists; its tags limit this to the store's machine.",
            ),
            (readable(self, backups), "A backup's name is its date, in the one folder of the one bucket."),
        ):
            acknowledge(role, f"AwsSolutions-IAM5[Resource::{finding}]", reason)
        return role

    def _arn(self, resource: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="ec2", resource=resource, resource_name=name)
