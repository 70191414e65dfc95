"""Evaluation and guard stacks: queues, functions, schedules, alarms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import ROOT, Synthesize, Template, Templates, only, read, resources

OPIK = {
    *("STAGE", "DATASET_NAME", "OPIK_URL_OVERRIDE", "OPIK_WORKSPACE", "OPIK_PROJECT_NAME", "OPIK_API_KEY_SECRET_ARN"),
    *("OPIK_SENTRY_ENABLE", "OPIK_ANALYTICS_ENABLE", "OPIK_DEFAULT_FLUSH_TIMEOUT", "OPIK_LOG_START_TRACE_SPAN"),
}
JUDGE = {
    *("EMBEDDING_MODEL_DIR", "METRIC_NAMESPACE", "WATERMARK_PARAMETER_NAME", "LLM_MODEL_ID"),
    *("STATE_TABLE_NAME", "SHARD_SIZE"),
}
REMEMBERS = {f"dynamodb:{verb}Item" for verb in ("Get", "Put", "Update", "Delete")}
STOPS = {
    *("cloudformation:DeleteStack", "cloudformation:DescribeStacks", "application-autoscaling:RegisterScalableTarget"),
    *("sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponentRuntimeConfig"),
}
PUBLISHES = {"ssm:GetParameter", "ssm:PutParameter", "cloudwatch:PutMetricData"}


def handlers(name: str) -> set[str]:
    """Where a handler of that name may be."""
    return {f"services.{package}.handlers.{name}.handler" for package in ("evaluation", "guard")}


def function(template: Template, handler: str) -> tuple[str, Template]:
    (found,) = (
        (name, resource["Properties"])
        for name, resource in resources(template, "Lambda::Function").items()
        if resource["Properties"]["Handler"] in handlers(handler)
    )
    return found


@pytest.mark.parametrize(
    ("stack", "handler", "variables", "actions"),
    [
        (
            "evaluation",
            "collect_samples",
            OPIK | {"STATE_TABLE_NAME", "EVALUATE_FUNCTION_NAME", "EVALUATE_EVERY"},
            {
                "secretsmanager:GetSecretValue",
                "sqs:ReceiveMessage",
                "dynamodb:UpdateItem",
                "lambda:InvokeFunction",
            },
        ),
        (
            "evaluation",
            "evaluate_monitoring",
            OPIK | JUDGE | {"STATE_MACHINE_ARN"},
            {"secretsmanager:GetSecretValue", "states:StartExecution"} | PUBLISHES | REMEMBERS,
        ),
        (
            "evaluation",
            "judge_shard",
            OPIK | JUDGE - {"WATERMARK_PARAMETER_NAME"},
            {"secretsmanager:GetSecretValue"} | REMEMBERS - {"dynamodb:DeleteItem"},
        ),
        (
            "evaluation",
            "finish_run",
            OPIK | JUDGE | {"EVALUATE_FUNCTION_NAME"},
            {"secretsmanager:GetSecretValue", "lambda:InvokeFunction"}
            | PUBLISHES
            | REMEMBERS - {"dynamodb:UpdateItem"},
        ),
        ("evaluation", "expire_samples", OPIK | {"RETENTION_DAYS"}, {"secretsmanager:GetSecretValue"}),
        (
            "evaluation",
            "notify",
            {
                *("STAGE", "RELEASE", "STACK_NAMES", "STATE_TABLE_NAME", "SLACK_WEBHOOK_SECRET_ARN", "RUNBOOK_URL"),
                *("OPIK_PAGE_URL", "TRACE_URL", "MESSAGES_PER_HOUR"),
            },
            {"secretsmanager:GetSecretValue", "cloudformation:DescribeStacks"} | REMEMBERS - {"dynamodb:DeleteItem"},
        ),
        ("guard", "expire", {"STAGE", "STACK_NAMES", "COMPONENT_NAME"}, STOPS),
        (
            "guard",
            "stop_spending",
            {"STAGE", "STACK_NAMES", "COMPONENT_NAME", "BUDGET_NAME", "ALERTS_TOPIC_ARN"},
            STOPS | {"sns:Publish", "kms:Decrypt", "kms:GenerateDataKey"},
        ),
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
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources(template, "CloudWatch::Alarm").values()
        for dimension in alarm["Properties"].get("Dimensions", [])
        if dimension["Name"] == "QueueName" and alarm["Properties"]["MetricName"].endswith("MessagesVisible")
    }
    queues = {name for name in resources(template, "SQS::Queue") if "DeadLetters" in name}
    assert watched == queues
    waited_for = ("collect_samples", "judge_shard", "finish_run")
    for resource in resources(template, "Lambda::Function").values():
        if resource["Properties"]["Handler"].split(".")[-2] not in waited_for:
            assert resource["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0] in queues


def every_alarm(templates: Templates) -> dict[str, Template]:
    """Alarms that notify; those that only trigger scaling are left out."""
    return {
        name: alarm["Properties"]
        for stack in ("business", "evaluation", "guard")
        for kind in ("CloudWatch::Alarm", "CloudWatch::CompositeAlarm")
        for name, alarm in resources(templates[stack], kind).items()
        if not _scales(templates[stack], alarm["Properties"])
    }


def _scales(template: Template, alarm: Template) -> bool:
    actions = [action.get("Ref") for action in alarm.get("AlarmActions", []) if isinstance(action, dict)]
    return bool(actions) and set(actions) <= set(resources(template, "ApplicationAutoScaling::ScalingPolicy"))


def test_every_alarm_notifies_the_topic_also_of_its_recovery(dev: Templates) -> None:
    for name, alarm in every_alarm(dev).items():
        assert "AlertsTopic" in str(alarm["AlarmActions"]), name
        assert "AlertsTopic" in str(alarm["OKActions"]), name


def test_every_alarm_has_a_section_in_the_runbook(dev: Templates) -> None:
    titles = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    sections = {re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") for title in titles}
    named = set()
    for name, alarm in every_alarm(dev).items():
        found = re.search(r" \(runbook: ([a-z0-9-]+)\)$", alarm["AlarmDescription"])
        assert found, name
        named.add(found[1])
    assert named <= sections
    assert len(named) > 8


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
    assert "below 0.6, or no answers were judged." in alarm["AlarmDescription"]
    assert quality("local")["TreatMissingData"] == "notBreaching"
    assert "no answers" not in quality("local")["AlarmDescription"]


def test_alarms_may_publish_to_the_encrypted_topic_and_reach_notify(dev: Templates) -> None:
    template = dev["evaluation"]
    policy = only(template, "SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = [statement["Principal"] for statement in policy if statement["Effect"] == "Allow"]
    assert {"Service": "cloudwatch.amazonaws.com"} in allowed
    (denied,) = (statement for statement in policy if statement["Effect"] == "Deny")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    key = only(template, "KMS::Key")["KeyPolicy"]["Statement"]
    assert {"Service": "cloudwatch.amazonaws.com"} in [statement["Principal"] for statement in key]
    name, _ = function(template, "notify")
    assert only(template, "SNS::Subscription")["Endpoint"] == {"Fn::GetAtt": [name, "Arn"]}


@pytest.mark.parametrize(
    ("handler", "expression"), [("evaluate_monitoring", "rate(60 minutes)"), ("expire_samples", "rate(1 day)")]
)
def test_schedules(dev: Templates, handler: str, expression: str) -> None:
    name, _ = function(dev["evaluation"], handler)
    schedules = [found["Properties"] for found in resources(dev["evaluation"], "Scheduler::Schedule").values()]
    arn = {"Fn::GetAtt": [name, "Arn"]}
    assert [each["ScheduleExpression"] for each in schedules if each["Target"]["Arn"] == arn] == [expression]


def test_each_metric_has_alarms_on_its_mean_and_its_worst_tenth(dev: Templates) -> None:
    alarms = [
        each["Properties"]
        for each in resources(dev["evaluation"], "CloudWatch::Alarm").values()
        if each["Properties"].get("Namespace") == "LLMTwin"
    ]
    seen = {each["MetricName"]: (each["Threshold"], each["TreatMissingData"]) for each in alarms}
    assert seen == {
        "Groundedness": (0.6, "breaching"),
        "GroundednessP10": (0.2, "notBreaching"),
        "AnswerRelevance": (0.4, "breaching"),
        "AnswerRelevanceP10": (0.15, "notBreaching"),
        "FailedScores": (0, "notBreaching"),
        "ScoredSamples": (1, "breaching"),
    }


def test_memory_and_disk_of_the_endpoint_are_watched_where_sagemaker_publishes_them(dev: Templates) -> None:
    names = {
        "InferenceComponentName": "twin-dev-llm-model",
        "EndpointName": "twin-dev-llm",
        "VariantName": "AllTraffic",
    }
    alarms = {
        each["Properties"]["MetricName"]: each["Properties"]
        for each in resources(dev["evaluation"], "CloudWatch::Alarm").values()
        if str(each["Properties"].get("Namespace", "")).startswith("/aws/sagemaker/")
    }
    seen = {name: (each["Namespace"], each["Threshold"], each["TreatMissingData"]) for name, each in alarms.items()}
    assert seen == {
        "GPUMemoryUtilizationNormalized": ("/aws/sagemaker/InferenceComponents", 97, "notBreaching"),
        "DiskUtilization": ("/aws/sagemaker/Endpoints", 85, "notBreaching"),
    }
    dimensions = [each["Name"] for alarm in alarms.values() for each in alarm["Dimensions"]]
    assert sorted(dimensions) == sorted(names)
    assert all(names[each["Name"]] == each["Value"] for alarm in alarms.values() for each in alarm["Dimensions"])


def test_one_composite_alarm_covers_all_whose_cause_callers_notice(dev: Templates) -> None:
    rule = str(only(dev["evaluation"], "CloudWatch::CompositeAlarm")["AlarmRule"])
    for name in ("Groundedness", "AnswerRelevanceP10", "EndpointErrors", "EndpointLatency"):
        assert f"Alarms{name}" in rule
    assert "SamplesLate" not in rule


def test_long_runs_go_over_a_distributed_map(dev: Templates) -> None:
    template = dev["evaluation"]
    machine = only(template, "StepFunctions::StateMachine")
    states = json.loads(machine["DefinitionString"])["States"]
    assert states["Judge"]["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert [catch["Next"] for catch in states["Judge"]["Catch"]] == ["GiveUp"]
    names = {
        key: function(template, handler)[0]
        for key, handler in (("JudgeArn", "judge_shard"), ("FinishArn", "finish_run"))
    }
    assert machine["DefinitionSubstitutions"] == {key: {"Fn::GetAtt": [name, "Arn"]} for key, name in names.items()}
    _, evaluate = function(template, "evaluate_monitoring")
    assert machine["StateMachineName"] in str(evaluate["Environment"]["Variables"]["STATE_MACHINE_ARN"])


def test_a_trace_is_linked_where_opik_can_be_asked_for_it(templates: dict[str, Templates]) -> None:
    def link(stage: str) -> str:
        _, notify = function(templates[stage]["evaluation"], "notify")
        return str(notify["Environment"]["Variables"]["TRACE_URL"])

    assert link("local") == "http://127.0.0.1:5173/traces/{trace_id}"
    # As the SDK spells it: opik.url_helpers.get_project_url_by_trace_id.
    assert link("dev") == (
        "https://www.comet.com/opik/api/v1/session/redirect/projects/?trace_id={trace_id}"
        "&path=aHR0cHM6Ly93d3cuY29tZXQuY29tL29waWsvYXBpLw=="
    )


def test_e_mail_is_a_second_channel(synthesize: Synthesize) -> None:
    stage = synthesize("local", {"TWIN_EVALUATION__ALERT_EMAILS": '["oncall@example.com"]'})
    subscriptions = resources(read(stage, "local")["evaluation"], "SNS::Subscription").values()
    protocols = {each["Properties"]["Protocol"]: each["Properties"]["Endpoint"] for each in subscriptions}
    assert set(protocols) == {"lambda", "email"}
    assert protocols["email"] == "oncall@example.com"


def schedules(guard: Template) -> dict[str, str]:
    """Expressions of the guard's schedules, by the input of the function that they call."""
    found = [each["Properties"] for each in resources(guard, "Scheduler::Schedule").values()]
    return {each["Target"]["Input"]: each["ScheduleExpression"] for each in found}


def test_the_model_is_parked_and_its_stack_deleted_later_and_nothing_else_can_be_stopped(
    templates: dict[str, Templates],
) -> None:
    guard = templates["local"]["guard"]
    parking, deletion = "at(2030-01-02T12:00:00)", "at(2030-01-09T04:00:00)"
    assert schedules(guard) == {'{"action": "park"}': parking, '{"action": "delete"}': deletion}
    _, expire = function(guard, "expire")
    assert expire["Environment"]["Variables"]["STACK_NAMES"] == "twin-local-llm"
    assert expire["Environment"]["Variables"]["COMPONENT_NAME"] == "twin-local-llm-model"
    here = "us-east-1:000000000000"
    allowed = {
        "cloudformation:DeleteStack": f"arn:aws:cloudformation:{here}:stack/twin-local-llm/*",
        "sagemaker:UpdateInferenceComponentRuntimeConfig": (
            f"arn:aws:sagemaker:{here}:inference-component/twin-local-llm-model"
        ),
        "application-autoscaling:RegisterScalableTarget": (f"arn:aws:application-autoscaling:{here}:scalable-target/*"),
    }
    statements = [
        statement
        for policy in resources(guard, "IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    for action, resource in allowed.items():
        found = [each for each in statements if action in each["Action"]]
        assert [each["Resource"] for each in found] == [resource] * 2
    assert [each["Condition"]["StringEquals"] for each in statements if "Condition" in each] == [
        {
            "aws:ResourceTag/project": "llm-twin",
            "aws:ResourceTag/stage": "local",
            "application-autoscaling:scalable-dimension": "sagemaker:inference-component:DesiredCopyCount",
        }
    ] * 2
    assert not resources(templates["prod"]["guard"], "Scheduler::Schedule")


def test_the_schedules_come_last_and_the_nearer_one_first(templates: dict[str, Templates]) -> None:
    """CloudFormation would otherwise put a time back that has passed, when what comes after a schedule fails."""
    guard = templates["local"]["guard"]
    parking, deletion = (
        next(each for name, each in resources(guard, "Scheduler::Schedule").items() if name.startswith(start))
        for start in ("Parking", "EndOfLife")
    )
    before_parking = {name for name in guard["Resources"] if not name.startswith(("Parking", "EndOfLife"))}
    assert before_parking <= set(parking["DependsOn"])
    before_deletion = {name for name in guard["Resources"] if not name.startswith("EndOfLife")}
    assert before_deletion <= set(deletion["DependsOn"])


@pytest.mark.parametrize(
    ("variables", "parks"),
    [
        ({"TWIN_LLM__MODE": "real-time"}, False),
        ({"TWIN_GUARD__DELETE_AFTER_HOURS": "8"}, True),
    ],
)
def test_what_cannot_or_need_not_be_parked_is_only_deleted(
    synthesize: Synthesize, variables: dict[str, str], parks: bool
) -> None:
    guard = read(synthesize("dev", variables), "dev")["guard"]
    assert schedules(guard) == {'{"action": "delete"}': "at(2030-01-02T12:00:00)"}
    allowed = json.dumps([each["Properties"] for each in resources(guard, "IAM::Policy").values()])
    # The kill switch parks whatever the times are.
    assert ("UpdateInferenceComponentRuntimeConfig" in allowed) == parks
    assert ("COMPONENT_NAME" in json.dumps(guard)) == parks


def test_functions_carry_only_their_own_code(assemblies: dict[str, Path]) -> None:
    (code,) = {file.parents[1] for file in assemblies["dev"].glob("asset.*/services/__init__.py")}
    rooms = {path.name for path in (code / "services").iterdir()}
    assert rooms == {"__init__.py", "common", "evaluation", "guard"}
    assert {path.name for path in code.iterdir()} == {"services"}
    assert not list(code.rglob("__pycache__"))
