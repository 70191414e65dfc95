"""The stage's dashboard in CloudWatch: what callers feel first, then quality and cost, then what runs beneath.

Importing cdk-monitoring-constructs costs a synthesis a second of processor time, and more where Python must compile its
7 MB first. Import this module only where a dashboard is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import aws_cdk as cdk
import cdk_monitoring_constructs as library
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.llm import cold_start
from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.monitoring.cost import AnswerCost
from infra.constructs.monitoring.metrics import FIVE_MINUTES, SCORES, Line, Score, StageMetrics
from infra.names import Names
from infra.settings.deployment import DeploymentSettings

COLUMNS = 24
"""Width of a dashboard."""
MINUTE = cdk.Duration.minutes(1)
PERCENT = cloudwatch.YAxisProps(min=0, max=100, label="%", show_units=False)
UNIT = cloudwatch.YAxisProps(min=0, max=1)
ZERO = cloudwatch.YAxisProps(min=0)
MILLISECONDS = cloudwatch.YAxisProps(min=0, label="ms", show_units=False)
Lines = Sequence[Line]


class Dashboard(Construct):
    """One dashboard named `twin-<stage>-overview`.

    It names metrics of other stacks (the endpoint, the service), so that nothing is exported.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: DeploymentSettings,
        samples: sqs.IQueue,
        samples_lost: sqs.IQueue,
        functions: Mapping[str, lambda_.IFunction],
        dead_letters: Mapping[str, sqs.IQueue],
        state_machine_arn: str,
    ) -> None:
        """Declare the dashboard.

        Args:
            scope: parent.
            construct_id: of this construct.
            settings: of the stage.
            samples: queue of sampled answers.
            samples_lost: its dead-letter queue.
            functions: the stack's functions by display name.
            dead_letters: queues of their lost calls, by the same names.
            state_machine_arn: of the machine for long evaluations.
        """
        super().__init__(scope, construct_id)
        self._settings = settings
        self._service = StageMetrics(settings.evaluation.metric_namespace, settings.stage)
        self._llm = LlmMetrics.of(settings)
        self._page = library.MonitoringFacade(
            self,
            "Page",
            dashboard_factory=library.DefaultDashboardFactory(
                self,
                "Factory",
                dashboard_name_prefix=Names.of(settings).dashboard,
                detail_dashboard_range=cdk.Duration.days(1),
            ),
        )
        self._callers()
        self._quality()
        self._cost()
        self._endpoint()
        self._evaluation(samples, samples_lost, functions, dead_letters, state_machine_arn)

    def _callers(self) -> None:
        of = self._service.of
        self._section(
            "Traffic and speed",
            _graph("Requests", [of("Requests", "Sum")]),
            _graph("Server errors", [of("ServerErrors", "Sum"), self._error_rate()], axis=ZERO),
            _graph("Shed under load, and waiting for the model", [of("ShedRequests", "Sum"), self._held_requests()]),
            _graph("Time to first token", _percentiles(of, "TimeToFirstToken"), axis=MILLISECONDS),
            _graph("Time per further token", _percentiles(of, "TimePerOutputToken"), axis=MILLISECONDS),
            _graph("Whole request", _percentiles(of, "RequestTime"), axis=MILLISECONDS),
            _graph("Tokens", [of("InputTokens", "Sum"), of("OutputTokens", "Sum")]),
            _graph("Tokens of one answer", [of("InputTokens", "Average"), of("OutputTokens", "Average")]),
            _graph(
                "Retrieval and reranking, p95", [of("RetrievalTime", "p95"), of("RerankTime", "p95")], axis=MILLISECONDS
            ),
        )

    def _error_rate(self) -> cloudwatch.MathExpression:
        used = {"errors": self._service.of("ServerErrors", "Sum"), "requests": self._service.of("Requests", "Sum")}
        return cloudwatch.MathExpression(
            expression="100 * errors / requests", using_metrics=used, label="% of requests", period=FIVE_MINUTES
        )

    def _held_requests(self) -> cloudwatch.Metric:
        return self._service.of("HeldRequests", "Maximum")

    def _quality(self) -> None:
        evaluation = self._settings.evaluation
        period = cdk.Duration.seconds(evaluation.alarm_period_seconds)
        of, judged = self._service.of, self._settings.judge.provider != "none"
        graphs = [self._score(score, period) for score in SCORES if judged or not score.judged]
        graphs.append(
            _graph(
                "Judged answers",
                [of(name, "Sum", period=period) for name in ("ScoredSamples", "FailedScores", "FailedAnswers")],
            )
        )
        graphs.append(
            _graph(
                "Drift against the answers before",
                [of(name, "Average", period=period) for name in ("LengthDrift", "LanguageDrift")],
                axis=UNIT,
            )
        )
        if judged:
            calls = [of(name, "Sum", period=period) for name in ("JudgeCalls", "JudgementsStopped")]
            tokens = [of(name, "Sum", period=period) for name in ("JudgeInputTokens", "JudgeOutputTokens")]
            graphs += [_graph("Judge: calls", calls), _graph("Judge: tokens", tokens)]
        self._section("Quality of the answers", *graphs)

    def _score(self, score: Score, period: cdk.Duration) -> library.CustomMetricGroup:
        worst = f"{score.name}{score.worst}"
        limits = self._settings.evaluation.quality.get(score.name)
        found = () if limits is None else (("mean", limits.mean), ("worst tenth", limits.p10))
        return _graph(
            score.name if score.worst == "P10" else f"{score.name} (low is good)",
            [
                self._service.of(score.name, "Average", "Mean", period),
                self._service.of(worst, "Average", "Worst tenth", period),
            ],
            axis=UNIT,
            limits={f"Alarm: {of}": limit for of, limit in found if limit is not None},
        )

    def _cost(self) -> None:
        cost = AnswerCost(self._settings, self._service, self._llm)
        graphs = [
            _graph(title, lines, axis=ZERO, width=COLUMNS // 2)
            for title, lines in (
                ("USD per 1,000 answers", cost.per_thousand_answers()),
                ("USD per hour", cost.per_hour()),
            )
            if lines
        ]
        if graphs:
            self._section("Cost", *graphs, description=cost.explanation)

    def _endpoint(self) -> None:
        llm, monitoring = self._llm, self._settings.monitoring
        sleeps = self._settings.llm.mode == "inference-component"
        self._section(
            "The model",
            _graph(
                "Invocations",
                [
                    llm.invocation("Invocations", "Sum", "Invocations"),
                    *([llm.invocation("NoCapacityInvocationFailures", "Sum", "Refused: no copy is running")] * sleeps),
                ],
            ),
            _graph(
                "Errors",
                [
                    llm.invocation("Invocation4XXErrors", "Sum", "4xx"),
                    llm.invocation("Invocation5XXErrors", "Sum", "5xx"),
                    llm.invocation("MidStreamErrors", "Sum", "Broke off"),
                ],
            ),
            _graph(
                "Latency of the model",
                [self._latency(statistic) for statistic in ("p50", "p99")],
                axis=MILLISECONDS,
            ),
            _graph(
                "Copies and instances",
                [*([llm.copies()] * sleeps), llm.instance_minutes("Instances")],
                axis=ZERO,
            ),
            _graph(
                "GPU",
                [llm.gpus("GPUMemoryUtilization", "Maximum", "Memory"), llm.gpus("GPUUtilization", "Average", "Load")],
                axis=PERCENT,
                limits={"Alarm: memory": monitoring.gpu_memory_percent},
            ),
            _graph(
                "Instance",
                [
                    llm.instance("DiskUtilization", "Maximum", "Disk"),
                    llm.instance("MemoryUtilization", "Maximum", "Memory"),
                    # Elsewhere the sum over the processors, which does not go onto this axis.
                    *([llm.instance("CPUUtilizationNormalized", "Average", "Processors")] * sleeps),
                ],
                axis=PERCENT,
                limits={"Alarm: disk": monitoring.disk_percent},
            ),
        )

        if self._settings.llm.detailed_observability:
            text = cold_start.explanation(llm.endpoint_name)
            self._page.add_widget(cloudwatch.TextWidget(markdown=text, width=COLUMNS, height=len(cold_start.PHASES)))

    def _latency(self, statistic: str) -> cloudwatch.MathExpression:
        """In milliseconds; SageMaker publishes microseconds."""
        return cloudwatch.MathExpression(
            expression=f"{statistic} / 1000",
            using_metrics={statistic: self._llm.invocation("ModelLatency", statistic)},
            label=statistic,
            period=MINUTE,
        )

    def _evaluation(
        self,
        samples: sqs.IQueue,
        samples_lost: sqs.IQueue,
        functions: Mapping[str, lambda_.IFunction],
        dead_letters: Mapping[str, sqs.IQueue],
        state_machine_arn: str,
    ) -> None:
        self._page.monitor_sqs_queue_with_dlq(
            queue=samples, dead_letter_queue=samples_lost, human_readable_name="Samples", alarm_friendly_name="Samples"
        )
        each = functions.items()
        self._section(
            "Functions of the evaluation",
            _graph("Calls", [f.metric_invocations(label=name, period=FIVE_MINUTES) for name, f in each]),
            _graph("Errors", [f.metric_errors(label=name, period=FIVE_MINUTES) for name, f in each]),
            _graph(
                "Longest run",
                [f.metric_duration(label=name, statistic="Maximum", period=FIVE_MINUTES) for name, f in each],
                axis=MILLISECONDS,
            ),
            _graph("Throttled", [f.metric_throttles(label=name, period=FIVE_MINUTES) for name, f in each]),
            _graph(
                "Lost calls",
                [
                    queue.metric_approximate_number_of_messages_visible(
                        label=name, statistic="Maximum", period=FIVE_MINUTES
                    )
                    for name, queue in dead_letters.items()
                ],
            ),
            _graph("Long evaluations", [_executions(state_machine_arn, end) for end in ("Started", "Failed")]),
        )

    def _section(self, title: str, *graphs: library.CustomMetricGroup, description: str | None = None) -> None:
        self._page.monitor_custom(
            metric_groups=list(graphs),
            description=description,
            human_readable_name=title,
            alarm_friendly_name=title.replace(" ", "-"),
        )


def _graph(
    title: str,
    lines: Lines,
    *,
    axis: cloudwatch.YAxisProps | None = None,
    limits: Mapping[str, float] | None = None,
    width: int = COLUMNS // 3,
) -> library.CustomMetricGroup:
    return library.CustomMetricGroup(
        title=title,
        metrics=list(lines),
        graph_widget_axis=axis or ZERO,
        graph_widget_width=width,
        horizontal_annotations=[
            cloudwatch.HorizontalAnnotation(label=label, value=value) for label, value in (limits or {}).items()
        ],
    )


def _percentiles(of: Callable[..., cloudwatch.Metric], name: str) -> Lines:
    return [of(name, statistic, statistic) for statistic in ("p50", "p95", "p99")]


def _executions(state_machine_arn: str, end: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/States",
        metric_name=f"Executions{end}",
        dimensions_map={"StateMachineArn": state_machine_arn},
        statistic="Sum",
        label=end,
        period=FIVE_MINUTES,
    )
