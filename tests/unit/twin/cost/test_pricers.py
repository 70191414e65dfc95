"""Each family of resources: what is counted, and how often, against sums done by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from twin.cost.estimate import Estimate
from twin.cost.load import FULL, IDLE, OFFICE
from twin.target.errors import TwinError

Priced = Callable[..., Estimate]
Make = Callable[..., dict[str, Any]]
MONTH = Decimal(730)


AFTER = Decimal("21.7") * 27 / 60
AWAKE = 195 + AFTER
"""Office hours, and the minutes of each working day until the instance is gone."""


def monthly(estimate: Estimate, what: str) -> tuple[Decimal, Decimal, Decimal]:
    (line,) = [line for line in estimate.lines if line.what.startswith(what)]
    return line.monthly[IDLE], line.monthly[OFFICE], line.monthly[FULL]


def endpoint_config(make: Make, **variant: Any) -> dict[str, Any]:
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 3}
    values = {"InstanceType": "ml.g6.2xlarge", "InitialInstanceCount": 1, "ManagedInstanceScaling": scaling, **variant}
    return make("SageMaker::EndpointConfig", ProductionVariants=[values])


def test_a_gpu_that_sleeps_costs_nothing_idle_one_instance_in_office_hours_all_at_full_load(
    priced: Priced, make: Make
) -> None:
    seen = monthly(priced({"Config": endpoint_config(make)}), "Instance ml.g6.2xlarge")
    assert seen == (0, Decimal("1.222") * AWAKE, Decimal("1.222") * 3 * MONTH)


def test_a_gpu_that_may_not_sleep_is_paid_all_month(priced: Priced, make: Make) -> None:
    config = endpoint_config(make, ManagedInstanceScaling={"MinInstanceCount": 1, "MaxInstanceCount": 1})
    assert set(monthly(priced({"Config": config}), "Instance")) == {Decimal("1.222") * MONTH}


def test_without_managed_scaling_the_initial_instances_run_all_month(priced: Priced, make: Make) -> None:
    config = endpoint_config(make, ManagedInstanceScaling=None, InitialInstanceCount=2)
    assert monthly(priced({"Config": config}), "Instance")[0] == 2 * Decimal("1.222") * MONTH


def test_managed_scaling_without_bounds_stays_at_the_initial_instances(priced: Priced, make: Make) -> None:
    config = endpoint_config(make, ManagedInstanceScaling={"Status": "ENABLED"}, InitialInstanceCount=2)
    assert set(monthly(priced({"Config": config}), "Instance")) == {2 * Decimal("1.222") * MONTH}


def test_of_a_prioritised_list_the_first_choice_is_priced(priced: Priced, make: Make) -> None:
    pools = [{"InstanceType": "ml.g6e.xlarge", "Priority": 2}, {"InstanceType": "ml.g5.xlarge", "Priority": 1}]
    config = endpoint_config(make)
    variant = config["Properties"]["ProductionVariants"][0]
    del variant["InstanceType"]
    variant["InstancePools"] = pools
    assert monthly(priced({"Config": config}), "Instance ml.g5.xlarge")[1] == Decimal("1.408") * AWAKE


def test_an_instance_type_without_a_price_is_unknown_not_free(priced: Priced, make: Make) -> None:
    estimate = priced({"Config": endpoint_config(make, InstanceType="ml.p9.48xlarge")})
    assert [remark.why for remark in estimate.unknown] == [
        "Instance ml.p9.48xlarge: no price of sagemaker.ml.p9.48xlarge in the table"
    ]


def test_a_serverless_variant_is_unknown(priced: Priced, make: Make) -> None:
    variants = [{"ServerlessConfig": {"MemorySizeInMB": 2048}}]
    estimate = priced({"Config": make("SageMaker::EndpointConfig", ProductionVariants=variants)})
    assert len(estimate.unknown) == 1


def test_staged_weights_are_stored_month_by_month(priced: Priced, make: Make) -> None:
    source = {"S3DataSource": {"S3Uri": "s3://weights/models/", "S3DataType": "S3Prefix", "CompressionType": "None"}}
    model = make("SageMaker::Model", PrimaryContainer={"Image": "x", "ModelDataSource": source})
    estimate = priced({"Model": model}, "weights_gigabytes=100")
    assert set(monthly(estimate, "Staged weights")) == {Decimal("2.3")}
    hub = priced({"Model": make("SageMaker::Model", PrimaryContainer={"Image": "x"})})
    assert (hub.lines, [remark.resource.logical_id for remark in hub.free]) == ((), ["Model"])


def test_captured_requests_are_paid_by_their_share(priced: Priced, make: Make) -> None:
    config = endpoint_config(make)
    config["Properties"]["DataCaptureConfig"] = {"InitialSamplingPercentage": 10}
    estimate = priced({"Config": config}, "office_answers_per_hour=1000", "office_hours_per_month=100")
    idle, office, _ = monthly(estimate, "Captured requests written")
    assert (idle, office) == (0, Decimal("0.000005") * 10_000)
    stored = Decimal("0.023") * 10_000 * 16 / 1_000_000
    assert monthly(estimate, "Captured requests of a month")[1] == stored


def fargate(make: Make, **service: Any) -> dict[str, Any]:
    network = {"AwsvpcConfiguration": {"AssignPublicIp": "ENABLED"}}
    return {
        "Task": make("ECS::TaskDefinition", Cpu="512", Memory="1024", RuntimePlatform={"CpuArchitecture": "ARM64"}),
        "Service": make(
            "ECS::Service", **{"TaskDefinition": {"Ref": "Task"}, "NetworkConfiguration": network, **service}
        ),
    }


def scalable(make: Make, least: int, most: int) -> dict[str, Any]:
    join = {"Fn::Join": ["", ["service/", {"Ref": "Cluster"}, "/", {"Fn::GetAtt": ["Service", "Name"]}]]}
    return make(
        "ApplicationAutoScaling::ScalableTarget",
        MinCapacity=least,
        MaxCapacity=most,
        ResourceId=join,
        ScalableDimension="ecs:service:DesiredCount",
    )


def test_tasks_are_paid_by_vcpu_memory_and_public_address(priced: Priced, make: Make) -> None:
    estimate = priced(fargate(make, DesiredCount=2))
    assert set(monthly(estimate, "Tasks, 0.5 vCPU arm64")) == {2 * MONTH * Decimal("0.5") * Decimal("0.03238")}
    assert set(monthly(estimate, "Tasks, 1 GB")) == {2 * MONTH * Decimal("0.00356")}
    assert set(monthly(estimate, "Public IPv4 of tasks")) == {2 * MONTH * Decimal("0.005")}


def test_tasks_scale_between_their_bounds(priced: Priced, make: Make) -> None:
    estimate = priced({**fargate(make), "Scaling": scalable(make, 1, 4)})
    idle, office, full = monthly(estimate, "Tasks, 1 GB")
    assert (idle, office, full) == (idle, idle, 4 * idle)


def test_private_tasks_have_no_address(priced: Priced, make: Make) -> None:
    estimate = priced(fargate(make, NetworkConfiguration={"AwsvpcConfiguration": {"AssignPublicIp": "DISABLED"}}))
    assert not [line for line in estimate.lines if "IPv4" in line.what]


@pytest.mark.parametrize(
    "service",
    [
        {"LaunchType": "EC2"},
        {"CapacityProviderStrategy": [{"CapacityProvider": "mine"}]},
        {"TaskDefinition": "other:1"},
    ],
)
def test_tasks_that_are_not_fargate_of_this_stack_are_unknown(
    priced: Priced, make: Make, service: dict[str, Any]
) -> None:
    assert [remark.resource.logical_id for remark in priced(fargate(make, **service)).unknown] == ["Service"]


def test_spot_tasks_are_counted_at_the_price_on_demand(priced: Priced, make: Make) -> None:
    spot = priced(fargate(make, CapacityProviderStrategy=[{"CapacityProvider": "FARGATE_SPOT"}]))
    assert spot.monthly(IDLE) == priced(fargate(make)).monthly(IDLE)


def test_a_load_balancer_to_the_internet_has_an_address_per_subnet(priced: Priced, make: Make) -> None:
    estimate = priced({"Balancer": make("ElasticLoadBalancingV2::LoadBalancer", Subnets=["a", "b"])})
    assert monthly(estimate, "Public IPv4")[0] == 2 * MONTH * Decimal("0.005")
    assert monthly(estimate, "Load balancer")[0] == MONTH * Decimal("0.0225")


def test_an_internal_load_balancer_has_none(priced: Priced, make: Make) -> None:
    estimate = priced({"Balancer": make("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal", Subnets=["a"])})
    assert not [line for line in estimate.lines if "IPv4" in line.what]
    assert len(estimate.free) == 1


def test_capacity_units_follow_the_bytes_of_answers(priced: Priced, make: Make) -> None:
    balancer = {"Balancer": make("ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")}
    assumed = ("office_answers_per_hour=1000", "office_hours_per_month=100", "answer_kilobytes=20")
    # 100,000 answers of 20 kB are 2 GB, which is two hours of one unit.
    assert monthly(priced(balancer, *assumed), "Capacity units")[1] == 2 * Decimal("0.008")


@pytest.mark.parametrize(
    ("properties", "usd"),
    [
        ({"MetricName": "Errors", "Period": 300}, "0.10"),
        ({"MetricName": "Errors", "Period": 30}, "0.30"),
        ({"Metrics": [{"MetricStat": {"Period": 60}}, {"MetricStat": {"Period": 60}}, {"Expression": "a/b"}]}, "0.20"),
    ],
)
def test_alarms_are_paid_by_metric_and_resolution(
    priced: Priced, make: Make, properties: dict[str, Any], usd: str
) -> None:
    assert priced({"Alarm": make("CloudWatch::Alarm", **properties)}).monthly(IDLE) == Decimal(usd)


def test_target_tracking_keeps_two_alarms_and_step_scaling_none(priced: Priced, make: Make) -> None:
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
    kind = "ApplicationAutoScaling::ScalingPolicy"
    assert priced({"P": make(kind, TargetTrackingScalingPolicyConfiguration=metric)}).monthly(IDLE) == Decimal("0.20")
    assert priced({"P": make(kind, StepScalingPolicyConfiguration={})}).monthly(FULL) == 0


def test_an_interface_endpoint_is_paid_per_zone_and_a_gateway_endpoint_not(priced: Priced, make: Make) -> None:
    kind = "EC2::VPCEndpoint"
    paid = priced({"E": make(kind, VpcEndpointType="Interface", SubnetIds=["a", "b"])})
    assert monthly(paid, "Endpoint in 2 zones")[0] == 2 * MONTH * Decimal("0.01")
    assert not priced({"E": make(kind, VpcEndpointType="Gateway")}).lines


def test_the_queue_of_a_function_is_polled_all_month_and_a_dead_letter_queue_is_not(priced: Priced, make: Make) -> None:
    mapping = make("Lambda::EventSourceMapping", EventSourceArn={"Fn::GetAtt": ["Samples", "Arn"]})
    estimate = priced({"Samples": make("SQS::Queue"), "Dead": make("SQS::Queue"), "Mapping": mapping})
    # Five polls of 20 s each, all month.
    assert monthly(estimate, "Polls")[0] == 5 * MONTH * 180 * Decimal("0.0000004")
    assert "Dead" in {remark.resource.logical_id for remark in estimate.free}


def test_a_function_is_paid_by_the_calls_of_its_schedule(priced: Priced, make: Make) -> None:
    target = {"Arn": {"Fn::GetAtt": ["Function", "Arn"]}}
    estimate = priced(
        {
            "Function": make("Lambda::Function", MemorySize=2048, Architectures=["arm64"]),
            "Schedule": make("Scheduler::Schedule", ScheduleExpression="rate(30 minutes)", Target=target),
        },
        "function_seconds=3",
    )
    assert monthly(estimate, "Run time")[0] == 2 * MONTH * 3 * 2 * Decimal("0.0000133334")


def test_a_function_that_empties_the_samples_is_called_once_per_sample_at_most(priced: Priced, make: Make) -> None:
    rate = {"Name": "SAMPLE_RATE", "Value": "0.1"}
    estimate = priced(
        {
            "Task": make("ECS::TaskDefinition", ContainerDefinitions=[{"Environment": [rate]}]),
            "Function": make("Lambda::Function"),
            "Mapping": make("Lambda::EventSourceMapping", FunctionName={"Ref": "Function"}),
        }
    )
    (line,) = [line for line in estimate.lines if line.what == "Calls"]
    assert (line.units[IDLE], line.units[OFFICE]) == (0, 195 * 60 * Decimal("0.1"))


def test_published_metrics_are_few_while_nobody_asks_and_counted_for_one_function(priced: Priced, make: Make) -> None:
    functions = {
        name: make("Lambda::Function", Handler=f"services.evaluation.handlers.{name}.handler")
        for name in ("evaluate_monitoring", "finish_run")
    }
    estimate = priced(functions, "run_metrics=4", "score_metrics=100")
    idle, office, full = monthly(estimate, "Published metrics")
    assert idle == Decimal("1.20")
    assert full == Decimal("31.20") and idle < office < full


def test_the_log_group_of_a_task_grows_with_answers_and_others_do_not(priced: Priced, make: Make) -> None:
    logging = {"LogConfiguration": {"Options": {"awslogs-group": {"Ref": "Api"}}}}
    estimate = priced(
        {
            "Task": make("ECS::TaskDefinition", ContainerDefinitions=[logging]),
            "Api": make("Logs::LogGroup"),
            "Other": make("Logs::LogGroup"),
        },
        "answer_log_kilobytes=1000",
    )
    written = {line.resource.logical_id: line.units for line in estimate.lines if line.what == "Logs written"}
    assert written["Api"][OFFICE] - written["Api"][IDLE] == Decimal("11.7")
    assert written["Other"][OFFICE] == written["Other"][IDLE] == Decimal("0.05")


@pytest.mark.parametrize(
    ("kind", "properties", "usd"),
    [
        ("EC2::NatGateway", {}, MONTH * Decimal("0.045") + 2 * Decimal("0.045")),
        ("EC2::EIP", {}, MONTH * Decimal("0.005")),
        ("EC2::FlowLog", {}, Decimal("0.50")),
        ("EC2::Instance", {"InstanceType": "t4g.small"}, MONTH * Decimal("0.0168")),
        ("EC2::Volume", {"Size": 20, "VolumeType": "gp3"}, Decimal("1.60")),
        ("CloudWatch::Dashboard", {}, Decimal(3)),
        ("CloudWatch::CompositeAlarm", {}, Decimal("0.50")),
        ("KMS::Key", {}, Decimal(1)),
        ("SecretsManager::Secret", {}, Decimal("0.40") + 60 * MONTH * Decimal("0.000005")),
        ("WAFv2::WebACL", {"Rules": [{}, {}]}, Decimal(7)),
        ("CloudFront::Function", {}, Decimal(0)),
        ("S3::Bucket", {}, 5 * Decimal("0.023")),
        ("ECS::TaskDefinition", {}, Decimal("0.06")),
    ],
)
def test_resources_with_a_price_of_their_own(
    priced: Priced, make: Make, kind: str, properties: dict[str, Any], usd: Decimal
) -> None:
    estimate = priced({"It": make(kind, **properties)})
    assert not estimate.unknown
    assert estimate.monthly(IDLE) == usd


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("RDS::DBInstance", {}),
        ("EC2::Volume", {"Size": 20, "VolumeType": "io2"}),
        ("ElasticLoadBalancingV2::LoadBalancer", {"Subnets": {"Fn::Split": [",", {"Ref": "Subnets"}]}}),
        ("EC2::Instance", {"InstanceType": "x9.huge"}),
        ("SSM::Parameter", {"Tier": "Advanced"}),
        ("ECS::Cluster", {"ClusterSettings": [{"Name": "containerInsights", "Value": "enhanced"}]}),
        ("ElasticLoadBalancingV2::LoadBalancer", {"Type": "network"}),
        ("StepFunctions::StateMachine", {"StateMachineType": "EXPRESS"}),
        ("CloudFormation::Stack", {}),
    ],
)
def test_what_has_no_known_price_is_listed(priced: Priced, make: Make, kind: str, properties: dict[str, Any]) -> None:
    estimate = priced({"It": make(kind, **properties)})
    assert [remark.resource.logical_id for remark in estimate.unknown] == ["It"]
    assert not estimate.free


def test_what_is_free_is_named_as_free(priced: Priced, make: Make) -> None:
    kinds = ("IAM::Role", "EC2::VPC", "SageMaker::Model", "SSM::Parameter")
    estimate = priced({kind.replace("::", ""): make(kind) for kind in kinds})
    assert {remark.resource.kind for remark in estimate.free} == {f"AWS::{kind}" for kind in kinds}
    assert not estimate.unknown
    assert not estimate.lines


def test_a_number_that_only_the_deployment_knows_makes_the_price_unknown(priced: Priced, make: Make) -> None:
    estimate = priced(fargate(make, DesiredCount={"Ref": "TaskCount"}))
    assert [(each.resource.logical_id, each.why) for each in estimate.unknown] == [
        ("Service", 'a property is known at deployment only: {"Ref": "TaskCount"} is no number')
    ]


def test_full_load_must_be_said_when_copies_are_known_at_deployment_only(priced: Priced, make: Make) -> None:
    copies = make(
        "ApplicationAutoScaling::ScalableTarget",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=0,
        MaxCapacity={"Ref": "Copies"},
    )
    with pytest.raises(TwinError, match="full_answers_per_hour=N"):
        priced({"Copies": copies})
    assert priced({"Copies": copies}, "full_answers_per_hour=100").loads[2].answers == 73000


def test_a_machine_pays_for_its_volumes_and_names_those_without_a_price(priced: Priced, make: Make) -> None:
    devices = [
        {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 10, "VolumeType": "gp3"}},
        {"DeviceName": "/dev/xvdb", "Ebs": {"VolumeSize": 10, "VolumeType": "io2"}},
    ]
    estimate = priced({"M": make("EC2::Instance", InstanceType="t4g.small", BlockDeviceMappings=devices)})
    assert monthly(estimate, "Volume /dev/xvda")[0] == Decimal("0.80")
    assert ["/dev/xvdb" in remark.why for remark in estimate.unknown] == [True]


def test_a_group_of_a_fixed_size_is_priced_by_its_launch_template(priced: Priced, make: Make) -> None:
    data = {
        "InstanceType": "t4g.small",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "VolumeType": "gp3"}}],
        "NetworkInterfaces": [{"AssociatePublicIpAddress": True}],
        "UserData": {"Fn::Base64": "METRIC_NAMESPACE=LLMTwin"},
    }
    template = make("EC2::LaunchTemplate", LaunchTemplateData=data)
    sizes = {"MinSize": "2", "MaxSize": "2", "LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}}}
    found = priced({"Template": template, "Group": make("AutoScaling::AutoScalingGroup", **sizes)})
    assert found.unknown == ()
    assert {line.what: line.monthly[IDLE] for line in found.lines} == {
        "Machine t4g.small": 2 * Decimal("0.0168") * MONTH,
        "Volume /dev/xvda": 2 * 8 * Decimal("0.08"),
        "Public IPv4 address": 2 * Decimal("0.005") * MONTH,
        "Published metrics": 4 * Decimal("0.30"),
    }
    loose = make("AutoScaling::AutoScalingGroup", **{**sizes, "MaxSize": "3"})
    assert len(priced({"Template": template, "Group": loose}).unknown) == 1


def test_office_hours_of_the_stage_are_those_that_are_priced(priced: Priced, make: Make) -> None:
    actions = [
        {"Schedule": "cron(0 8 ? * MON,TUE *)", "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 3}},
        {"Schedule": "cron(0 20 ? * MON,TUE *)", "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0}},
    ]
    dimension = "sagemaker:inference-component:DesiredCopyCount"
    target = {"ScalableDimension": dimension, "MinCapacity": 0, "MaxCapacity": 3}
    copies = make("ApplicationAutoScaling::ScalableTarget", ScheduledActions=actions, **target)
    held = Decimal("1.222") * (104 + AFTER)
    found = monthly(priced({"Config": endpoint_config(make), "Copies": copies}), "Instance")
    assert found[:2] == (held, held), "the copy that the morning starts is paid for, asked or not"
    assumed = priced({"Config": endpoint_config(make), "Copies": copies}, "office_hours_per_month=200")
    assert monthly(assumed, "Instance")[1] == Decimal("1.222") * (200 + AFTER)
    prompt = priced({"Config": endpoint_config(make), "Copies": copies}, "quiet_minutes=0")
    assert monthly(prompt, "Instance")[1] == Decimal("1.222") * 104
    actions[0]["ScalableTargetAction"] = {"MinCapacity": 0, "MaxCapacity": 3}
    assert monthly(priced({"Config": endpoint_config(make), "Copies": copies}), "Instance")[:2] == (Decimal(0), held)
