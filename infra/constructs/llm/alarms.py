"""Alarms on the LLM endpoint.

The endpoint's stack may be deleted and come back at any time and imports nothing. Its alarms therefore are part of the
evaluation stack, which owns the alerts topic, and find the endpoint by name.
"""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.llm.metrics import LlmMetrics
from infra.constructs.monitoring.alarms import Alarms
from infra.settings.deployment import DeploymentSettings


def endpoint_alarms(alarms: Alarms, settings: DeploymentSettings) -> list[cloudwatch.Alarm]:
    """Declare the endpoint's alarms among `alarms`; return those whose cause callers notice."""
    llm = LlmMetrics.of(settings)
    _gpu_memory(alarms, llm, settings.monitoring.gpu_memory_percent)
    _disk(alarms, llm, settings.monitoring.disk_percent)
    return [_errors(alarms, llm), _broken(alarms, llm), _latency(alarms, llm, settings.evaluation.latency_p99_seconds)]


def _gpu_memory(alarms: Alarms, llm: LlmMetrics, percent: float) -> cloudwatch.Alarm:
    """Alarm when the GPU memory of a copy stays nearly full; a sleeping model reports nothing, which is no alarm."""
    metric = llm.gpus("GPUMemoryUtilization", "Maximum")
    what = f"The memory of the model's GPUs is more than {percent:g} % full."
    return alarms.alarm("GpuMemory", metric, what, "gpu-memory", periods=5, threshold=percent)


def _disk(alarms: Alarms, llm: LlmMetrics, percent: float) -> cloudwatch.Alarm:
    """Alarm when the disk of an instance stays nearly full."""
    metric = llm.instance("DiskUtilization", "Maximum")
    what = f"The disk of the endpoint's instance is more than {percent:g} % full."
    return alarms.alarm("EndpointDisk", metric, what, "endpoint-disk", periods=5, threshold=percent)


def _errors(alarms: Alarms, llm: LlmMetrics) -> cloudwatch.Alarm:
    """Alarm when the LLM answers with server errors."""
    metric = llm.invocation("Invocation5XXErrors", "Sum")
    return alarms.alarm("EndpointErrors", metric, "The LLM answers with server errors.", "endpoint-errors", periods=3)


def _broken(alarms: Alarms, llm: LlmMetrics) -> cloudwatch.Alarm:
    """Alarm when streamed answers break off, which SageMaker does not count among the errors."""
    metric = llm.invocation("MidStreamErrors", "Sum")
    what = "The LLM's answers break off after their first token."
    return alarms.alarm("EndpointBroken", metric, what, "endpoint-errors", periods=3)


def _latency(alarms: Alarms, llm: LlmMetrics, seconds: float) -> cloudwatch.Alarm:
    """Alarm when one answer in a hundred takes longer than `seconds`; SageMaker reports microseconds."""
    metric = llm.invocation("ModelLatency", "p99")
    what = f"One LLM answer in a hundred takes longer than {seconds:g} s."
    microseconds = seconds * 1_000_000
    return alarms.alarm("EndpointLatency", metric, what, "endpoint-latency", periods=3, threshold=microseconds)
