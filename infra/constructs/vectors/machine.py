"""EC2 machine of the vector store: an auto scaling group of one, which replaces it, and its start-up program.

The volume and the network interface with the store's address are separate resources, which the running machine attaches
to itself. A machine that fails, or that an update replaces, is terminated first; its successor waits for both.
"""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge
from infra.settings.retrieval import HostedVectors

EXPORT = Path(__file__).resolve().parents[3] / "services" / "vectors" / "export.py"
PROGRAMS = (Path(__file__).with_name("files"), EXPORT)
"""Programs that a machine gets into /opt/twin."""
ENVIRONMENT_FILE = "/etc/twin-vectors.env"
ROOT_GB = 8
READY = cdk.Duration.minutes(20)
"""Time for a machine to attach volume and address, start Qdrant and make a backup; then the deployment fails."""


class VectorMachine(Construct):
    """One EC2 machine without SSH, reached by Session Manager, in a group that replaces it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: HostedVectors,
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet,
        group: ec2.ISecurityGroup,
        role: iam.IRole,
        environment: Mapping[str, str],
        has_public_address: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        start = ec2.UserData.for_linux()
        template = ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType(settings.instance_type),
            machine_image=_image(settings.machine_image, cdk.Stack.of(self).region),
            role=role,
            user_data=start,
            security_group=group,
            associate_public_ip_address=has_public_address,
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        ROOT_GB, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3, delete_on_termination=True
                    ),
                )
            ],
        )
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=[subnet]),
            launch_template=template,
            min_capacity=1,
            max_capacity=1,
            # The old machine is terminated before the new one starts: only one can have the volume.
            update_policy=autoscaling.UpdatePolicy.rolling_update(max_batch_size=1, min_instances_in_service=0),
            signals=autoscaling.Signals.wait_for_all(timeout=READY),
        )
        start.add_commands(*_commands(environment))
        start.add_signal_on_exit_command(self.group)
        acknowledge(
            self.group,
            "AwsSolutions-AS3",
            "Alarms on the status check and on missing metrics report a replacement.",
        )


def _image(name: str, region: str) -> ec2.IMachineImage:
    if name.startswith("ami-"):
        return ec2.MachineImage.generic_linux({region: name})
    # A parameter of the template: CloudFormation reads it at each deployment, synthesis makes no look-up.
    return ec2.MachineImage.from_ssm_parameter(name, os=ec2.OperatingSystemType.LINUX)


def _commands(environment: Mapping[str, str]) -> list[str]:
    lines = [f"{name}={value}" for name, value in environment.items()]
    return [
        "set -euo pipefail",
        "\n".join((f"cat >{ENVIRONMENT_FILE} <<'END'", *lines, "END")),
        f"mkdir -p /opt/twin && base64 -d <<'END' | tar -xzC /opt/twin\n{packed_programs()}\nEND",
        "/opt/twin/setup",
    ]


def packed_programs() -> str:
    """The programs as a base64 text of a compressed archive, the same for the same files."""
    files = sorted(PROGRAMS[0].iterdir()) + list(PROGRAMS[1:])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            content = file.read_bytes()
            entry = tarfile.TarInfo(file.name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return base64.b64encode(gzip.compress(buffer.getvalue(), mtime=0)).decode()
