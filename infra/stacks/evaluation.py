"""Evaluation stack: collects sampled answers, judges them, raises and delivers alarms."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.evaluation.alarms import EvaluationAlarms
from infra.constructs.evaluation.collection import SampleCollection
from infra.constructs.evaluation.monitoring_run import MonitoringRun
from infra.constructs.evaluation.notification import Notification
from infra.constructs.evaluation.retention import SampleRetention
from infra.constructs.evaluation.samples_queue import SamplesQueue
from infra.constructs.evaluation.shared import Shared
from infra.constructs.evaluation.state_table import StateTable
from infra.constructs.functions.service_function import DependencyLayer, ServiceFunction
from infra.constructs.monitoring.alarms import AlertsTopic
from infra.constructs.shared.secret import placeholder_secret
from infra.settings.deployment import DeploymentSettings


class EvaluationStack(cdk.Stack):
    """Samples queue, evaluation functions, alarms, dashboard and notification."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: DeploymentSettings, env: cdk.Environment
    ) -> None:
        super().__init__(scope, construct_id, env=env, description="LLM twin: evaluation")
        evaluation = settings.evaluation
        # The alerts topic and Opik's key belong to the stage rather than to its evaluation. They stay here, where the
        # RAG and guard stacks import them: moving them would replace both in every deployed stage.
        self.opik_key = placeholder_secret(self, "OpikApiKey", "API key of Opik")
        webhook = placeholder_secret(self, "SlackWebhook", "Incoming webhook that alerts are posted to")
        self.samples = SamplesQueue(
            self,
            "Samples",
            consumer_timeout=cdk.Duration.seconds(evaluation.collect_timeout_seconds),
            batch_window=cdk.Duration.seconds(evaluation.batch_window_seconds),
        )
        self.alerts = AlertsTopic(self, "Alerts", budgets=settings.guard.monthly_budget_usd is not None)
        state = StateTable(self, "State")
        layer = DependencyLayer(self, "Dependencies", settings=evaluation).layer
        shared = Shared(settings, layer, self.opik_key, state)
        run = MonitoringRun(self, "Run", shared=shared)
        collection = SampleCollection(
            self, "Collection", shared=shared, samples=self.samples, evaluate=run.evaluate.function
        )
        retention = SampleRetention(self, "Retention", shared=shared)
        notification = Notification(self, "Notification", shared=shared, webhook=webhook, topic=self.alerts.topic)
        functions = {
            "Collection": collection.collect,
            "Evaluation": run.evaluate,
            "Judging": run.shard,
            "Finishing": run.finish,
            "Retention": retention.expire,
            "Notification": notification.notify,
        }
        alarms = EvaluationAlarms(
            self,
            "Alarms",
            topic=self.alerts.topic,
            settings=settings,
            samples=self.samples,
            functions=functions,
            judging=run.judging,
        )
        if settings.monitoring.dashboard:
            self._dashboard(settings, functions, run)
        outputs = {
            "SamplesQueueUrl": self.samples.queue.queue_url,
            "SamplesDeadLetterQueueUrl": self.samples.dead_letters.queue_url,
            "CollectFunctionName": collection.collect.function.function_name,
            "EvaluateFunctionName": run.evaluate.function.function_name,
            "NotifyFunctionName": notification.notify.function.function_name,
            "AlertsTopicArn": self.alerts.topic.topic_arn,
            "QualityAlarmName": alarms.first_of_quality.alarm_name,
            "JudgingStateMachineArn": run.judging.arn,
            "StateTableName": state.table.table_name,
            "SlackWebhookSecretArn": webhook.secret_arn,
            "OpikApiKeySecretArn": self.opik_key.secret_arn,
            "DatasetName": evaluation.dataset,
            "MetricNamespace": evaluation.metric_namespace,
            **({"JudgeApiKeySecretArn": run.judge_key.secret_arn} if run.judge_key else {}),
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value)

    def _dashboard(
        self, settings: DeploymentSettings, functions: dict[str, ServiceFunction], run: MonitoringRun
    ) -> None:
        # Here, because its library is 7 MB of Python, which stages without a dashboard do not load.
        from infra.constructs.monitoring.dashboard import Dashboard

        Dashboard(
            self,
            "Dashboard",
            settings=settings,
            samples=self.samples.queue,
            samples_lost=self.samples.dead_letters,
            functions={name: service.function for name, service in functions.items()},
            dead_letters={
                name: service.dead_letters for name, service in functions.items() if service.dead_letters is not None
            },
            state_machine_arn=run.judging.arn,
        )
