"""Evaluation and guard stacks: queues, functions, schedules, alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Template, Templates, only, resources

OPIK = {
    *("STAGE", "DATASET_NAME", "OPIK_URL_OVERRIDE", "OPIK_WORKSPACE", "OPIK_PROJECT_NAME", "OPIK_API_KEY_SECRET_ARN"),
    *("OPIK_SENTRY_ENABLE", "OPIK_ANALYTICS_ENABLE", "OPIK_DEFAULT_FLUSH_TIMEOUT", "OPIK_LOG_START_TRACE_SPAN"),
}
JUDGE = {"EMBEDDING_MODEL_DIR", "METRIC_NAMESPACE", "WATERMARK_PARAMETER_NAME", "LLM_MODEL_ID"}


def function(template: Template, handler: str) -> tuple[str, Template]:
    (found,) = (
        (name, resource["Properties"])
        for name, resource in resources(template, "Lambda::Function").items()
        if resource["Properties"]["Handler"] == f"services.evaluation.{handler}.handler"
    )
    return found


@pytest.mark.parametrize(
    ("stack", "handler", "variables", "actions"),
    [
        ("evaluation", "collect_samples", OPIK, {"secretsmanager:GetSecretValue", "sqs:ReceiveMessage"}),
        (
            "evaluation",
            "evaluate_monitoring",
            OPIK | JUDGE,
            {"secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:PutParameter", "cloudwatch:PutMetricData"},
        ),
        (
            "evaluation",
            "notify",
            {"STAGE", "SLACK_WEBHOOK_SECRET_ARN", "RUNBOOK_URL", "OPIK_PAGE_URL"},
            {"secretsmanager:GetSecretValue"},
        ),
        ("guard", "expire", {"STAGE", "STACK_NAMES"}, {"cloudformation:DeleteStack", "cloudformation:DescribeStacks"}),
    ],
)
def test_each_function_has_its_variables_and_rights(
    dev: Templates, stack: str, handler: str, variables: set[str], actions: set[str]
) -> None:
    _, properties = function(dev[stack], handler)
    assert set(properties["Environment"]["Variables"]) == variables
    assert properties["Architectures"] == ["arm64"]
    assert len(properties["Layers"]) == 1
    role = properties["Role"]["Fn::GetAtt"][0]
    granted: set[str] = set()
    for policy in resources(dev[stack], "IAM::Policy").values():
        if policy["Properties"]["Roles"] == [{"Ref": role}]:
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                found = statement["Action"]
                granted |= set(found) if isinstance(found, list) else {found}
    assert actions <= granted
    own = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
    poll = {f"sqs:{verb}" for verb in ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl")}
    assert granted - actions <= own | (poll if handler == "collect_samples" else set())


def test_samples_wait_out_failures_and_end_in_a_dead_letter_queue(dev: Templates) -> None:
    template = dev["evaluation"]
    mapping = only(template, "Lambda::EventSourceMapping")
    assert mapping["BatchSize"] == 50
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = template["Resources"][mapping["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
    _, collect = function(template, "collect_samples")
    assert queue["VisibilityTimeout"] >= 6 * collect["Timeout"]
    assert "SamplesDeadLetters" in queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]


@pytest.mark.parametrize("stack", ["evaluation", "guard"])
def test_every_dead_letter_queue_raises_an_alarm(dev: Templates, stack: str) -> None:
    template = dev[stack]
    watched: list[Any] = [
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources(template, "CloudWatch::Alarm").values()
        for dimension in alarm["Properties"].get("Dimensions", [])
        if dimension["Name"] == "QueueName"
    ]
    queues = {name for name in resources(template, "SQS::Queue") if "DeadLetters" in name}
    assert set(watched) == queues
    for resource in resources(template, "Lambda::Function").values():
        if not resource["Properties"]["Handler"].endswith("collect_samples.handler"):
            assert resource["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0] in queues


def test_every_alarm_speaks_to_the_topic(dev: Templates) -> None:
    for stack in ("business", "evaluation", "guard"):
        for name, alarm in resources(dev[stack], "CloudWatch::Alarm").items():
            assert "AlertsTopic" in str(alarm["Properties"]["AlarmActions"]), name


def test_bad_answers_and_missing_judgement_raise_the_quality_alarm(templates: dict[str, Templates]) -> None:
    def quality(stage: str) -> Template:
        template = templates[stage]["evaluation"]
        name = template["Outputs"]["QualityAlarmName"]["Value"]["Ref"]
        properties: Template = template["Resources"][name]["Properties"]
        return properties

    alarm = quality("dev")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("LLMTwin", "Groundedness", "Average")
    assert alarm["Dimensions"] == [{"Name": "Stage", "Value": "dev"}]
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    assert alarm["TreatMissingData"] == "breaching"
    assert quality("local")["TreatMissingData"] == "notBreaching"


def test_alarms_may_publish_to_the_encrypted_topic_and_reach_notify(dev: Templates) -> None:
    template = dev["evaluation"]
    policy = only(template, "SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    effects = {statement["Effect"]: statement for statement in policy}
    assert effects["Allow"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert effects["Deny"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    key = only(template, "KMS::Key")["KeyPolicy"]["Statement"]
    assert {"Service": "cloudwatch.amazonaws.com"} in [statement["Principal"] for statement in key]
    name, _ = function(template, "notify")
    assert only(template, "SNS::Subscription")["Endpoint"] == {"Fn::GetAtt": [name, "Arn"]}


def test_the_evaluation_runs_every_hour(dev: Templates) -> None:
    schedule = only(dev["evaluation"], "Scheduler::Schedule")
    name, _ = function(dev["evaluation"], "evaluate_monitoring")
    assert schedule["ScheduleExpression"] == "rate(60 minutes)"
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": [name, "Arn"]}


def test_the_llm_stack_expires_once_and_nothing_else_can_be_deleted(templates: dict[str, Templates]) -> None:
    guard = templates["local"]["guard"]
    schedule = only(guard, "Scheduler::Schedule")
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("at(2030-01-02T12:00:00)", "ENABLED")
    _, expire = function(guard, "expire")
    assert expire["Environment"]["Variables"]["STACK_NAMES"] == "twin-local-llm"
    allowed = [
        statement["Resource"]
        for policy in resources(guard, "IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "cloudformation:DeleteStack" in statement["Action"]
    ]
    assert allowed == ["arn:aws:cloudformation:us-east-1:000000000000:stack/twin-local-llm/*"]
    assert only(templates["prod"]["guard"], "Scheduler::Schedule")["State"] == "DISABLED"


def test_functions_carry_only_their_own_code(assemblies: dict[str, Path]) -> None:
    (code,) = {file.parents[1] for file in assemblies["dev"].glob("asset.*/services/__init__.py")}
    rooms = {path.name for path in (code / "services").iterdir()}
    assert rooms == {"__init__.py", "common", "evaluation"}
    assert {path.name for path in code.iterdir()} == {"services"}
    assert not list(code.rglob("__pycache__"))
