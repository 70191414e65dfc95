"""Where MiniStack 1.5.33 differs from AWS in ways that our stacks meet."""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudfront, cloudwatch, ec2, ecr
from ministack.services.cloudformation import provisioners

FREE_FORM = ("options", "dockerLabels")
"""Container settings whose keys are data, not field names."""
METRIC_MATH = "(metric-math)"


def install() -> None:
    """Apply every correction."""
    _missing_images_are_an_error()
    provisioners._normalize_container_defs = lambda definitions: [camel_case(item) for item in definitions]
    _task_definitions_keep_all_that_is_declared()
    _services_keep_their_grace_period()
    _load_balancers_are_in_their_subnets_network()
    _secrets_are_referred_to_by_arn()
    _metric_math_alarms_are_kept()
    _alarms_look_at_their_own_dimensions()
    _rules_keep_their_prefix_lists()
    _vpc_origins_are_called_as_they_say()


def camel_case(value: Any, parent: str = "") -> Any:
    """A container definition as the ECS API spells it; MiniStack left secrets and health checks as templates do."""
    if isinstance(value, list):
        return [camel_case(item, parent) for item in value]
    if not isinstance(value, dict):
        return value
    if parent in FREE_FORM:
        return dict(value)
    spelled = {f"{key[:1].lower()}{key[1:]}": item for key, item in value.items()}
    return {key: camel_case(item, key) for key, item in spelled.items()}


def _missing_images_are_an_error() -> None:
    # A 200 without images makes the CDK believe that the image is there, and it skips the build.
    describe = ecr._describe_images

    def describe_images(request: dict[str, Any]) -> Any:
        repository = request.get("repositoryName")
        wanted = request.get("imageIds") or []
        if repository in ecr._repositories and not all(ecr._find_image(repository, image) for image in wanted):
            return error_response_json("ImageNotFoundException", "The image requested does not exist.", 400)
        return describe(request)

    ecr._describe_images = describe_images


def _task_definitions_keep_all_that_is_declared() -> None:
    # MiniStack drops the platform and the storage, and keeps volumes as templates spell them.
    create = provisioners._ecs_task_def_create

    def create_task_definition(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        arn, attributes = create(logical_id, properties, stack)
        kept = provisioners._ecs._task_defs[arn.rpartition("/")[2]]
        for name in ("RuntimePlatform", "EphemeralStorage", "Volumes"):
            if name in properties:
                kept |= camel_case({name: properties[name]})
        return arn, attributes

    # Its update, which registers the next revision, calls it by name.
    provisioners._ecs_task_def_create = create_task_definition
    provisioners._RESOURCE_HANDLERS["AWS::ECS::TaskDefinition"]["create"] = create_task_definition


def _services_keep_their_grace_period() -> None:
    # MiniStack hands it to an update and not to a creation.
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]
    create = handlers["create"]

    def create_service(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        arn, attributes = create(logical_id, properties, stack)
        if seconds := properties.get("HealthCheckGracePeriodSeconds"):
            cluster = properties.get("Cluster", "default")
            wanted = {"cluster": cluster, "service": arn, "healthCheckGracePeriodSeconds": int(seconds)}
            provisioners._ecs._update_service(wanted)
        return arn, attributes

    handlers["create"] = create_service


def _load_balancers_are_in_their_subnets_network() -> None:
    # The resource type has no network of its own, and MiniStack named one that is not there.
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ElasticLoadBalancingV2::LoadBalancer"]
    create = handlers["create"]

    def create_balancer(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        subnets = (ec2._subnets.get(subnet) for subnet in properties.get("Subnets") or ())
        network = next((subnet["VpcId"] for subnet in subnets if subnet), None)
        located = {**properties, "VpcId": network} if network else properties
        made: tuple[str, dict[str, Any]] = create(logical_id, located, stack)
        return made

    handlers["create"] = create_balancer


def _secrets_are_referred_to_by_arn() -> None:
    # Ref of a secret is its ARN on AWS; MiniStack returned the name, and policies then granted the wrong resource.
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name_of(arn: str) -> str:
        secrets = provisioners._sm._secrets
        return next((name for name, secret in secrets.items() if secret["ARN"] == arn), arn)

    def create_secret(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        _, attributes = create(logical_id, properties, stack)
        return attributes["Arn"], attributes

    def update_secret(
        arn: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        _, attributes = update(name_of(arn), old, new, stack, logical_id)
        return attributes["Arn"], attributes

    handlers.update(
        create=create_secret,
        update=update_secret,
        update_with_logical_id=True,
        delete=lambda arn, properties: delete(name_of(arn), properties),
    )


def _metric_math_alarms_are_kept() -> None:
    # Kept and listed, never evaluated: MiniStack has no metric math, and refusing would fail the whole stack.
    record = provisioners._cw_metric_alarm_record

    def with_metric_math(name: str, properties: dict[str, Any]) -> Any:
        if not properties.get("Metrics"):
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        kept = record(name, {**plain, "MetricName": METRIC_MATH, "Namespace": METRIC_MATH})
        kept["Metrics"] = properties["Metrics"]
        return kept

    provisioners._cw_metric_alarm_record = with_metric_math


class _OneSeries:
    """The metric store with only one series to look through; reads and writes by key see all of it."""

    def __init__(self, store: Any, dimensions: str) -> None:
        self._store = store
        self._dimensions = dimensions

    def items(self) -> list[tuple[Any, Any]]:
        return [(key, points) for key, points in self._store.items() if key[2] == self._dimensions]

    def get(self, key: Any) -> Any:
        return self._store.get(key)

    def __setitem__(self, key: Any, points: Any) -> None:
        self._store[key] = points


def _alarms_look_at_their_own_dimensions() -> None:
    # MiniStack mixes every series of a metric's name: one stage's good answers would hide another's bad ones.
    evaluate = cloudwatch._evaluate_alarm

    def evaluate_own_series(alarm: dict[str, Any]) -> None:
        store = cloudwatch._metrics
        own = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
        cloudwatch._metrics = _OneSeries(store, own)
        try:
            evaluate(alarm)
        finally:
            cloudwatch._metrics = store

    cloudwatch._evaluate_alarm = evaluate_own_series


def _rules_keep_their_prefix_lists() -> None:
    # MiniStack answers and matches the prefix lists of a security group's rule, and never reads them from a request.
    parse = ec2._parse_ip_permissions

    def with_prefix_lists(request: Any, prefix: str) -> Any:
        rules = parse(request, prefix)
        for number, rule in enumerate(rules, start=1):
            kept = rule["PrefixListIds"]
            while found := ec2._p(
                request, (entry := f"{prefix}.{number}.PrefixListIds.{len(kept) + 1}") + ".PrefixListId"
            ):
                described = ec2._p(request, f"{entry}.Description")
                kept.append({"PrefixListId": found, **({"Description": described} if described else {})})
        return rules

    ec2._parse_ip_permissions = with_prefix_lists


def _vpc_origins_are_called_as_they_say() -> None:
    # MiniStack's data plane takes protocol and ports from custom origins only, and would speak HTTPS to all others.
    parse = cloudfront._dataplane_origin

    def with_vpc_origin(element: Any) -> Any:
        origin = parse(element)
        named = cloudfront._find(element, "VpcOriginConfig")
        known = None if named is None else cloudfront._vpc_origins.get(cloudfront._text(named, "VpcOriginId"))
        if known is None:
            return origin
        endpoint = known["VpcOriginEndpointConfig"]
        return {
            **origin,
            "http_port": endpoint["HTTPPort"],
            "https_port": endpoint["HTTPSPort"],
            "protocol_policy": endpoint["OriginProtocolPolicy"],
            "read_timeout": int(cloudfront._text(named, "OriginReadTimeout")),
        }

    cloudfront._dataplane_origin = with_vpc_origin
