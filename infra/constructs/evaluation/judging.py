"""The state machine for runs that are longer than one Lambda."""

from __future__ import annotations

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge, readable
from infra.constructs.shared.logs import log_group

RETRY = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 5,
    "MaxAttempts": 3,
    "BackoffRate": 2,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}


class Judging(Construct):
    """Judges every shard of a run with a Distributed Map, then finishes the run, also when a shard failed."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        judge: lambda_.IFunction,
        finish: lambda_.IFunction,
        concurrency: int,
        log_retention_days: int,
    ) -> None:
        """Declare the machine; `name` is fixed, because the function that starts it is also called at its end."""
        super().__init__(scope, construct_id)
        # Step Functions writes through a vended delivery, whose groups must have this prefix to fit its policy.
        group = log_group(self, "Logs", log_retention_days, f"/aws/vendedlogs/states/{name}")
        self.arn = self.arn_of(self, name)
        role = self._role(name, [judge.function_arn, finish.function_arn])
        self.machine = sfn.CfnStateMachine(
            self,
            "Machine",
            state_machine_name=name,
            state_machine_type="STANDARD",
            role_arn=role.role_arn,
            definition_string=json.dumps(definition(concurrency)),
            definition_substitutions={"JudgeArn": judge.function_arn, "FinishArn": finish.function_arn},
            logging_configuration=sfn.CfnStateMachine.LoggingConfigurationProperty(
                level="ALL",
                # The data of the states are creation times of samples, never their text.
                include_execution_data=True,
                destinations=[
                    sfn.CfnStateMachine.LogDestinationProperty(
                        cloud_watch_logs_log_group=sfn.CfnStateMachine.CloudWatchLogsLogGroupProperty(
                            log_group_arn=group.log_group_arn
                        )
                    )
                ],
            ),
            tracing_configuration=sfn.CfnStateMachine.TracingConfigurationProperty(enabled=True),
        )
        self.machine.node.add_dependency(role)

    def _role(self, name: str, function_arns: list[str]) -> iam.Role:
        stack = cdk.Stack.of(self)
        executions = stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{name}*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
            ),
        )
        for sid, actions, resources in (
            ("Call", ["lambda:InvokeFunction"], function_arns),
            # A Distributed Map starts its children as executions of the machine itself.
            ("StartChildren", ["states:StartExecution"], [self.arn]),
            ("WatchChildren", ["states:DescribeExecution", "states:StopExecution"], [executions]),
            ("Deliver", LOG_DELIVERY, ["*"]),
            ("Trace", TRACING, ["*"]),
        ):
            role.add_to_policy(iam.PolicyStatement(sid=sid, actions=actions, resources=resources))
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "Log deliveries and X-Ray actions have no resource-level permissions.",
        )
        acknowledge(
            role,
            f"AwsSolutions-IAM5[Resource::{readable(self, executions)}]",
            "Step Functions names the children of a Distributed Map itself, below the machine's name.",
        )
        return role

    @staticmethod
    def arn_of(scope: Construct, name: str) -> str:
        """The ARN of the machine called `name`, for resources that are declared before it."""
        return cdk.Stack.of(scope).format_arn(
            service="states", resource="stateMachine", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )


LOG_DELIVERY = [
    f"logs:{verb}"
    for verb in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
]
"""Actions that Step Functions needs to log: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html."""
TRACING = [
    f"xray:{verb}" for verb in ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")
]


def definition(concurrency: int) -> dict[str, object]:
    """The machine in the Amazon States Language; `${JudgeArn}` and `${FinishArn}` are substituted at deployment."""
    run: dict[str, Any] = {"run.$": "$.run", "full.$": "$.full", "work.$": "$.work"}
    return {
        "Comment": "Judges the shards of a run and publishes what they gave",
        "StartAt": "Judge",
        "States": {
            "Judge": {
                "Type": "Map",
                "ItemsPath": "$.work",
                "MaxConcurrency": concurrency,
                "ToleratedFailurePercentage": 0,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "JudgeShard",
                    "States": {
                        "JudgeShard": {"Type": "Task", "Resource": "${JudgeArn}", "Retry": [RETRY], "End": True},
                    },
                },
                # The scores are in the table; what comes back from a map of many shards could be too large to carry.
                "ResultPath": None,
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "GiveUp"}],
                "Next": "Finish",
            },
            "Finish": {
                "Type": "Task",
                "Resource": "${FinishArn}",
                "Parameters": run,
                "Retry": [RETRY],
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "GiveUp"}],
                "End": True,
            },
            "GiveUp": {
                "Type": "Task",
                "Resource": "${FinishArn}",
                "Parameters": run | {"failed": True},
                "Retry": [RETRY],
                "Next": "Failed",
            },
            "Failed": {"Type": "Fail", "Error": "RunFailed", "Cause": "A shard or the end of the run failed."},
        },
    }
