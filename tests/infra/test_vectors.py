"""Qdrant hosted by the stage: chosen by settings, closed, least-privileged, priced; its data stays."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.constructs.vectors.machine import PROGRAMS, packed_programs
from infra.constructs.vectors.store import SESSION_MANAGER
from infra.settings.deployment import SettingsError, load_settings
from services.rag.settings import RagSettings
from twin.cost import assembly, prices
from twin.cost.assembly import Assembly, Resource
from twin.cost.assumptions import parse
from twin.cost.estimate import estimate
from twin.cost.load import IDLE
from twin.cost.outside import external_services
from twin.delete.stacks import stacks_read

from .conftest import ROOT, STAGES, Synthesize, Template, Templates, only, read, resources
from .test_iam import granted, listed
from .test_templates import violations

HOSTED = '{"url": null, "hosted": {}}'
PRIVATE = '{"url": null, "hosted": {"machine_image": "ami-0123456789abcdef0", "volume_snapshots_kept": 7}}'
SERVICE = "Fn::GetStackOutput"
EC2_USER_DATA_BYTES = 16384
"""https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""


@pytest.fixture(scope="module")
def folder(synthesize: Synthesize) -> Path:
    return synthesize("dev", {"TWIN_VECTORS": HOSTED})


@pytest.fixture(scope="module")
def hosted(folder: Path) -> Templates:
    vectors = json.loads((folder / "twin-dev-vectors.template.json").read_text())
    return {**read(folder, "dev"), "vectors": vectors}


@pytest.fixture(scope="module")
def store(hosted: Templates) -> Template:
    return hosted["vectors"]


@pytest.fixture(scope="module")
def prod(synthesize: Synthesize) -> Template:
    """The stack of a private stage."""
    output = synthesize("prod", {"TWIN_VECTORS": PRIVATE})
    assert [rule for rule, severity in violations(output) if severity == "error"] == []
    found: Template = json.loads((output / "twin-prod-vectors.template.json").read_text())
    return found


def machine(template: Template) -> Template:
    data: Template = only(template, "EC2::LaunchTemplate")["LaunchTemplateData"]
    return data


def user_data(template: Template) -> str:
    parts = machine(template)["UserData"]["Fn::Base64"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "x" * 20 for part in parts)


@pytest.mark.parametrize(
    ("stage", "variables", "said"),
    [
        ("dev", {"TWIN_VECTORS__HOSTED": "{}"}, "exactly one of url .* and hosted"),
        ("dev", {"TWIN_VECTORS": '{"url": null}'}, "exactly one of url .* and hosted"),
        ("prod", {"TWIN_VECTORS": HOSTED, "TWIN_NETWORK__NAT_GATEWAYS": "0"}, r"needs internet access .*prod\.toml"),
        ("dev", {"TWIN_VECTORS": '{"url": null, "hosted": {"instance_type": "t3.small"}}'}, "hosted.instance_type"),
        ("dev", {"TWIN_VECTORS": '{"url": null, "hosted": {"machine_image": "ami-x86"}}'}, "hosted.machine_image"),
    ],
)
def test_a_store_is_in_exactly_one_place(
    monkeypatch: pytest.MonkeyPatch, stage: str, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load_settings(stage)


def test_no_stage_hosts_its_store_by_default() -> None:
    assert [load_settings(stage).vectors.hosted for stage in (*STAGES, "pr-1")] == [None] * 4


def test_the_service_calls_the_store_with_its_key_and_pins_its_certificate(hosted: Templates) -> None:
    tasks = [each["Properties"] for each in resources(hosted["business"], "ECS::TaskDefinition").values()]
    (task,) = [each for each in tasks if each["Family"] == "twin-dev-business-api"]
    (container,) = task["ContainerDefinitions"]
    plain = {each["Name"]: each["Value"] for each in container["Environment"]}
    secret = {each["Name"]: json.dumps(each["ValueFrom"]) for each in container["Secrets"]}
    parts = plain["QDRANT_URL"]["Fn::Join"][1]
    assert parts[0] == "https://" and parts[-1] == ":6333"
    for value in (json.dumps(parts), secret["QDRANT_API_KEY"], secret["QDRANT_CA_PEM"]):
        assert "twin-dev-vectors" in value and SERVICE in value
    assert ":ssm:" in secret["QDRANT_CA_PEM"]
    assert {*plain, *secret} - {name.upper() for name in RagSettings.model_fields} == set()
    execution = task["ExecutionRoleArn"]["Fn::GetAtt"][0]
    assert "ssm:GetParameters" in granted(hosted["business"])[execution]
    assert not [name for name in resources(hosted["business"], "SecretsManager::Secret") if "Qdrant" in name]
    assert "ReadKey" in secret["QDRANT_API_KEY"]


def test_only_the_service_reaches_the_store_and_the_machine_has_no_ingress(store: Template, prod: Template) -> None:
    for template in (store, prod):
        (rule,) = resources(template, "EC2::SecurityGroupIngress").values()
        assert (rule["Properties"]["FromPort"], rule["Properties"]["ToPort"]) == (6333, 6333)
        assert "ServiceGroup" in json.dumps(rule["Properties"]["SourceSecurityGroupId"])
        groups = resources(template, "EC2::SecurityGroup").values()
        assert not [group for group in groups if "SecurityGroupIngress" in group["Properties"]]
        data = machine(template)
        assert "KeyName" not in data
        assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert machine(store)["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is True
    assert machine(prod)["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False


def test_a_machine_is_replaced_by_one_that_takes_volume_and_address(store: Template, prod: Template) -> None:
    (group,) = resources(store, "AutoScaling::AutoScalingGroup").values()
    assert (group["Properties"]["MinSize"], group["Properties"]["MaxSize"]) == ("1", "1")
    update = group["UpdatePolicy"]["AutoScalingRollingUpdate"]
    assert (update["MinInstancesInService"], update["WaitOnResourceSignals"]) == (0, True)
    assert group["CreationPolicy"]["ResourceSignal"]["Count"] == 1
    zone = only(store, "EC2::Volume")["AvailabilityZone"]
    assert zone == "us-east-1a"
    assert group["Properties"]["VPCZoneIdentifier"] == [only(store, "EC2::NetworkInterface")["SubnetId"]]
    image = machine(store)["ImageId"]["Ref"]
    assert store["Parameters"][image]["Type"] == "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"
    assert machine(prod)["ImageId"] == "ami-0123456789abcdef0"


def test_data_is_encrypted_and_stays_in_prod(store: Template, prod: Template) -> None:
    for template, policy in ((store, "Delete"), (prod, "RetainExceptOnCreate")):
        for kind in ("EC2::Volume", "S3::Bucket"):
            (found,) = resources(template, kind).values()
            assert found["DeletionPolicy"] == policy
        assert only(template, "EC2::Volume")["Encrypted"] is True
        bucket = only(template, "S3::Bucket")
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert bucket["BucketEncryption"]
        (rule,) = bucket["LifecycleConfiguration"]["Rules"]
        assert (rule["ExpirationInDays"], rule["Prefix"]) == (14, "daily/")
        assert "aws:SecureTransport" in json.dumps(only(template, "S3::BucketPolicy"))


def test_the_volume_is_snapshotted_when_that_is_asked_for(store: Template, prod: Template) -> None:
    assert resources(store, "DLM::LifecyclePolicy") == {}
    policy = only(prod, "DLM::LifecyclePolicy")
    details = policy["PolicyDetails"]
    (target,) = details["TargetTags"]
    assert target in only(prod, "EC2::Volume")["Tags"], "one tag, since any of several would do"
    (schedule,) = details["Schedules"]
    assert (schedule["CreateRule"]["Times"], schedule["RetainRule"]["Count"]) == (["04:00"], 7)
    tags = {tag["Key"]: tag["Value"] for tag in schedule["TagsToAdd"]}
    assert tags == {"project": "llm-twin", "stage": "prod"}, "what a delete finds them by"
    role = policy["ExecutionRoleArn"]["Fn::GetAtt"][0]
    assert granted(prod)[role] == {
        *(f"ec2:Describe{kind}" for kind in ("Instances", "Snapshots", "Volumes")),
        *("ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DeleteSnapshot"),
    }
    resource = Resource("twin-prod-vectors", "us-east-1", "Policy", "AWS::DLM::LifecyclePolicy", policy)
    (line,) = estimate(Assembly((resource,)), prices.read(prices.SHIPPED), parse(())).lines
    assert line.monthly[IDLE] == 5 * line.price.usd > 0


def test_keeping_the_data_keeps_its_network_and_nothing_else(store: Template) -> None:
    assert stacks_read(store) == {"twin-dev-network"}


def test_user_data_fits_and_holds_no_secret(store: Template) -> None:
    text = user_data(store)
    assert len(text.encode()) < 0.75 * EC2_USER_DATA_BYTES
    assert packed_programs() in text and "cfn-signal" in text
    assert "resolve:secretsmanager" not in json.dumps(store) and "SecretString" not in json.dumps(machine(store))


def called() -> set[str]:
    """Actions of the AWS calls that the machine's programs make."""
    text = "\n".join(file.read_text() for file in PROGRAMS[0].iterdir())
    found = {"s3:PutObject", "s3:AbortMultipartUpload"} if "aws s3 cp" in text else set()
    for service, operation in re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)", text):
        if service != "s3":
            names = boto3.client(service, region_name="us-east-1").meta.method_to_api_mapping
            found.add(f"{service}:{names[operation.replace('-', '_')]}")
    return found


def test_the_machine_may_do_what_its_programs_call_and_nothing_else(store: Template) -> None:
    (actions,) = granted(store).values()
    assert actions == called() | set(SESSION_MANAGER) | {"cloudformation:SignalResource"}
    assert len(called()) == 7
    (policy,) = resources(store, "IAM::Policy").values()
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        everything = "*" in listed(statement["Resource"])
        name = statement.get("Sid", "")
        assert everything == (name in ("BeReached", "SayHowItIs"))
        assert name not in ("ToItself", "SayHowItIs") or statement["Condition"]
    assert not [role for role in resources(store, "IAM::Role").values() if "ManagedPolicyArns" in role["Properties"]]


def test_cdk_nag_finds_nothing_and_templates_stay_small(folder: Path, hosted: Templates) -> None:
    assert [rule for rule, severity in violations(folder) if severity == "error"] == []
    assert len(json.dumps(hosted["vectors"], indent=1)) < 50_000
    assert {tag["Key"] for tag in only(hosted["vectors"], "EC2::Volume")["Tags"]} == {"project", "stage"}


def test_every_part_is_priced_and_costs_less_than_half_a_dollar_a_day(folder: Path) -> None:
    table = prices.read(prices.SHIPPED)
    found = estimate(assembly.read(folder), table, parse(()))
    assert {remark.resource.stack for remark in found.unknown} == {"twin-dev-llm"}
    own = {line.what: line.monthly[IDLE] for line in found.lines if line.resource.stack.endswith("-vectors")}
    assert own["Machine t4g.micro"] == 730 * Decimal("0.0084")
    assert own["Volume"] == 10 * Decimal("0.08")
    assert own["Published metrics"] == 2 * Decimal("0.30")
    assert own["Public IPv4 address"] == 730 * Decimal("0.005")
    assert {"Volume /dev/xvda", "Stored objects", "Secret"} <= set(own)
    assert "qdrant.example.com" not in external_services(assembly.read(folder))
    assert sum(own.values()) < 14


def test_alarms_watch_machine_disk_and_backup_and_have_a_section(hosted: Templates) -> None:
    alarms = [
        found["Properties"]
        for name, found in resources(hosted["business"], "CloudWatch::Alarm").items()
        if name.startswith("VectorAlarms")
    ]
    assert {alarm["MetricName"] for alarm in alarms} == {"StatusCheckFailed", "VectorDiskUsed", "VectorBackups"}
    assert all(alarm["AlarmDescription"].endswith("(runbook: vector-store)") for alarm in alarms)
    assert "\n## Vector store\n" in (ROOT / "docs" / "runbook.md").read_text()
    silence = {alarm["MetricName"]: alarm["TreatMissingData"] for alarm in alarms}
    assert silence == {
        "StatusCheckFailed": "notBreaching",
        "VectorDiskUsed": "breaching",
        "VectorBackups": "breaching",
    }
    programs = "\n".join(file.read_text() for file in PROGRAMS[0].iterdir())
    assert all(f"--metric-name {name}" in programs for name in ("VectorDiskUsed", "VectorBackups"))


def test_the_programs_read_variables_that_the_machine_has(store: Template) -> None:
    told = set(re.findall(r"^([A-Z][A-Z0-9_]+)=", user_data(store), re.MULTILINE))
    programs = "\n".join(file.read_text() for file in PROGRAMS[0].iterdir() if not file.suffix)
    made = set(re.findall(r"^\s*(?:export )?([A-Z][A-Z0-9_]+)=", programs, re.MULTILINE))
    used = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)", programs))
    assert used - made - told == set()
    assert told - used == {"AWS_REGION"}


def test_the_programs_are_ones_that_amazon_linux_runs() -> None:
    for file in PROGRAMS[0].iterdir():
        if not file.suffix:
            assert file.stat().st_mode & 0o100, file
            subprocess.run(["bash", "-n", str(file)], check=True)
    # Its Python is 3.9, without packages.
    tree = ast.parse(PROGRAMS[1].read_text(), feature_version=(3, 9))
    imported: set[Any] = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {str(name).split(".")[0] for name in imported} <= sys.stdlib_module_names
