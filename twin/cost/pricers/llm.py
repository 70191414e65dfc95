"""SageMaker: the instances behind an endpoint, and what it reads from and writes to buckets."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from twin.cost import office_hours
from twin.cost.assembly import Resource, number
from twin.cost.charge import Charge, Context, Finding, Free, Units, Unknown, always, per_answer
from twin.cost.pricers.free import IN_CONFIG
from twin.cost.pricers.scaling import Range, instances


def endpoint_config(resource: Resource, context: Context) -> Iterable[Finding]:
    """Instance hours of every production variant, its volume, and what an answer moves.

    Awake in office hours means: at least one instance for every office hour, and on top the time after each wake until
    scaling and SageMaker have ended it.
    """
    held, after = office_hours.of(context.assembly).held, context.assumptions.quiet_hours_per_month
    for variant in resource.properties.get("ProductionVariants", ()):
        kind = _instance_type(variant)
        if kind is None:
            yield Unknown("a variant without an instance type (serverless, for one) is not priced")
            continue
        reach = instances(resource, variant, context.assembly)
        yield Charge(f"Instance {kind}", f"sagemaker.{kind}", _hours(reach, held, after))
        size = variant.get("VolumeSizeInGB")
        if size is not None:
            yield Charge("Volume of the instance", "sagemaker.volume", _volume(reach, held, after, number(size)))
    data = context.assumptions.answer_kilobytes / 1_000_000
    yield Charge("Data in and out", "sagemaker.data", per_answer(data))
    if (resource.properties.get("MetricsConfig") or {}).get("EnableDetailedObservability"):
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/metrics-otel-pricing.html
        yield Unknown(
            "detailed observability: 0.50 USD for each GB of OpenTelemetry metrics, whose volume is not known"
        )
    capture = resource.properties.get("DataCaptureConfig")
    if capture is not None:
        share = number(capture["InitialSamplingPercentage"]) / 100
        # SageMaker gathers requests in files: one write each is the most it can be.
        yield Charge("Captured requests written", "bucket.write", per_answer(share))
        kept = share * context.assumptions.answer_kilobytes / 1_000_000
        yield Charge("Captured requests of a month", "bucket.stored", per_answer(kept))


def model(resource: Resource, context: Context) -> Iterable[Finding]:
    """Nothing for the model itself; its staged weights lie in a bucket that no template declares."""
    container = resource.properties.get("PrimaryContainer", {})
    if "ModelDataSource" in container:
        yield Charge("Staged weights", "bucket.stored", always(context.assumptions.weights_gigabytes))
    else:
        yield Free(IN_CONFIG)


def _instance_type(variant: dict[str, Any]) -> str | None:
    """The type of a variant; of a prioritised list the first choice."""
    if "InstanceType" in variant:
        return str(variant["InstanceType"])
    pools = sorted(variant.get("InstancePools", ()), key=lambda pool: number(pool.get("Priority", 0)))
    return str(pools[0]["InstanceType"]) if pools else None


def _hours(reach: Range, held: Decimal, after: Decimal) -> Units:
    return lambda load: load.between(reach.least, reach.most, held, after)


def _volume(reach: Range, held: Decimal, after: Decimal, size: Decimal) -> Units:
    return lambda load: size * load.between(reach.least, reach.most, held, after) / load.hours
