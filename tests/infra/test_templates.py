"""Rules for the templates of every stage, with any settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from infra.app import build
from infra.constructs.evaluation.judging import LOG_DELIVERY, TRACING
from infra.constructs.functions import service_function
from infra.constructs.shared.references import READS
from infra.settings.deployment import load_settings

from .conftest import NOW, ROOT, STAGES, Synthesize, Templates, read, resources

EVERY_STAGE = pytest.mark.parametrize("stage", STAGES)


def statements(templates: Templates) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, statement)
        for template in templates.values()
        for name, policy in resources(template, "IAM::Policy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Its settings do without: the dashboard, and thresholds that a few answers say little about.
LEFT_OUT_LOCALLY = {"evaluation": {"AWS::CloudWatch::Dashboard": 1, "AWS::CloudWatch::Alarm": 3}}


def test_local_and_dev_have_the_same_resources_but_for_what_is_left_out_by_a_setting(
    templates: dict[str, Templates],
) -> None:
    for stack, local in templates["local"].items():
        dev = templates["dev"][stack]
        kinds = [Counter(found["Type"] for found in template["Resources"].values()) for template in (local, dev)]
        assert kinds[1] - kinds[0] == LEFT_OUT_LOCALLY.get(stack, {}), stack
        assert kinds[0] - kinds[1] == {}, stack
        assert set(local["Outputs"]) == set(dev["Outputs"]), stack


@EVERY_STAGE
def test_what_reads_an_output_changes_with_the_stack_that_it_reads(
    templates: dict[str, Templates], synthesize: Synthesize, stage: str
) -> None:
    """CloudFormation resolves the output again only when the reading resource changes."""
    changed = read(synthesize(stage, {"TWIN_NETWORK__CIDR": "10.60.0.0/16"}), stage)["business"]["Resources"]
    for template in templates[stage].values():
        for name, resource in template["Resources"].items():
            used = set(re.findall(r'"StackName": "([^"]+)"', json.dumps(resource["Properties"])))
            followed = resource.get("Metadata", {}).get(READS, {})
            assert set(followed) == used, name
            if f"twin-{stage}-network" in followed and name in changed:
                assert changed[name]["Metadata"][READS] != followed


@EVERY_STAGE
def test_no_managed_policy_and_no_wildcard_action(templates: dict[str, Templates], stage: str) -> None:
    for template in templates[stage].values():
        for name, role in resources(template, "IAM::Role").items():
            assert "ManagedPolicyArns" not in role["Properties"], name
    found = statements(templates[stage])
    assert found
    for name, statement in found:
        assert not [action for action in listed(statement["Action"]) if "*" in action], name


@EVERY_STAGE
def test_only_actions_without_resources_are_granted_on_everything(templates: dict[str, Templates], stage: str) -> None:
    allowed = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", *LOG_DELIVERY, *TRACING}
    for name, statement in statements(templates[stage]):
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= allowed, name
            assert statement["Action"] != "cloudwatch:PutMetricData" or statement["Condition"], name


@EVERY_STAGE
def test_no_custom_resource_and_no_retained_resource(templates: dict[str, Templates], stage: str) -> None:
    for template in templates[stage].values():
        for name, resource in template["Resources"].items():
            assert not resource["Type"].startswith(("Custom::", "AWS::CloudFormation::CustomResource")), name
            # An old layer version may stay for running functions; nothing else outlives its stack.
            assert resource.get("DeletionPolicy", "Delete") == "Delete", name


@EVERY_STAGE
def test_queues_are_encrypted_and_refuse_plain_http(templates: dict[str, Templates], stage: str) -> None:
    for template in templates[stage].values():
        queues = resources(template, "SQS::Queue")
        guarded = {
            policy["Properties"]["Queues"][0]["Ref"]
            for policy in resources(template, "SQS::QueuePolicy").values()
            if "aws:SecureTransport" in json.dumps(policy)
        }
        assert guarded == set(queues)
        assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues.values())


@EVERY_STAGE
def test_everything_that_takes_tags_carries_project_and_stage(templates: dict[str, Templates], stage: str) -> None:
    seen = 0
    for template in templates[stage].values():
        for name, resource in template["Resources"].items():
            tags = resource.get("Properties", {}).get("Tags")
            if tags is None:
                continue
            pairs = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            assert pairs["project"] == "llm-twin", name
            assert pairs["stage"] == stage, name
            seen += 1
    assert seen > 30


def violations(output: Path) -> list[tuple[str, str]]:
    """Rule and severity of each finding of the synthesis-time checks that is not acknowledged."""
    report = json.loads((output / "validation-report.json").read_text())
    return [
        (found["ruleName"], found["severity"]) for plugin in report["pluginReports"] for found in plugin["violations"]
    ]


@EVERY_STAGE
def test_cdk_nag_finds_nothing_that_is_not_acknowledged(assemblies: dict[str, Path], stage: str) -> None:
    errors = [rule for rule, severity in violations(assemblies[stage]) if severity == "error"]
    assert errors == []


def test_cdk_nag_watches_the_whole_app(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    stacks = build(app, load_settings("dev"), NOW)
    s3.CfnBucket(stacks["guard"], "Open")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    rules = {rule for rule, severity in violations(tmp_path) if severity == "error"}
    assert {"AwsSolutions-S1", "AwsSolutions-S10"} <= rules


def test_a_synthesis_without_the_functions_dependencies_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_function, "LAYER", tmp_path / "not-built")
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    for stage, expected in (("dev", [(f"Annotation::{service_function.NOT_BUILT}", "warning")]), ("local", [])):
        app = cdk.App(outdir=str(tmp_path / stage), context=context)
        build(app, load_settings(stage), NOW)
        app.synth()
        assert violations(tmp_path / stage) == expected


@EVERY_STAGE
def test_nothing_else_warns(assemblies: dict[str, Path], stage: str) -> None:
    assert violations(assemblies[stage]) == []


def test_the_cdk_command_line_synthesizes_without_credentials_and_network(tmp_path: Path) -> None:
    env = {
        name: os.environ[name]
        for name in ("PATH", "JSII_RUNTIME_PACKAGE_CACHE_ROOT", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION")
    }
    env |= {
        "HOME": str(tmp_path),
        "CDK_HOME": str(tmp_path / "cdk"),
        "CI": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nothing listens there: any call to the outside fails at once.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }
    output = tmp_path / "cdk.out"
    command = [str(ROOT / "node_modules/.bin/cdk"), "synth", "--quiet", "-c", "stage=dev", "--output", str(output)]
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    manifest = json.loads((output / "manifest.json").read_text())
    assert "missing" not in manifest
    stacks = [name for name, found in manifest["artifacts"].items() if found["type"] == "aws:cloudformation:stack"]
    assert sorted(stacks) == sorted(
        f"twin-dev-{name}" for name in ("network", "llm", "business", "evaluation", "guard")
    )
