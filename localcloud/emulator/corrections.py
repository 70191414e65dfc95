"""Patches of MiniStack 1.5.33 where it differs from AWS in ways that our stacks meet.

Every `_patch_*` function says what MiniStack does, what AWS does with the page that documents it, and when the patch
can go. All of them replace private names, which is why MiniStack is pinned exactly. After an upgrade, leave out one
call of `install` at a time: a patch that no test in tests/integration/emulator misses is no longer needed.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cloudfront, cloudwatch, ec2, ecr, iam
from ministack.services.cloudformation import provisioners

FREE_FORM = ("options", "dockerLabels")
"""Container settings whose keys are data, not field names."""
METRIC_MATH = "(metric-math)"


def install() -> None:
    """Apply every patch. Call it once, before the emulator serves."""
    _patch_describe_images()
    _patch_container_definitions()
    _patch_task_definitions()
    _patch_service_grace_period()
    _patch_load_balancer_vpc()
    _patch_secret_ref()
    _patch_metric_math_alarms()
    _patch_alarm_dimensions()
    _patch_prefix_lists()
    _patch_vpc_origins()
    _patch_role_boundary()


def camel_case(value: Any, parent: str = "") -> Any:
    """A CloudFormation value with its keys spelled as the ECS API does (`ValueFrom` becomes `valueFrom`).

    Args:
        value: any JSON value of a template; lists and objects are walked through.
        parent: the respelled key that holds `value`; the keys below one of `FREE_FORM` are data and stay as they are.
    """
    if isinstance(value, list):
        return [camel_case(item, parent) for item in value]
    if not isinstance(value, dict):
        return value
    if parent in FREE_FORM:
        return dict(value)
    spelled = {f"{key[:1].lower()}{key[1:]}": item for key, item in value.items()}
    return {key: camel_case(item, key) for key, item in spelled.items()}


def _patch_describe_images() -> None:
    """Answer DescribeImages for a missing image with an error.

    MiniStack 1.5.33 answers 200 without images, so that the CDK takes the image as pushed and skips its build. AWS
    answers ImageNotFoundException (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html).
    Remove it when MiniStack answers that error.
    """
    describe = ecr._describe_images

    def describe_images(request: dict[str, Any]) -> Any:
        """DescribeImages, refused when the repository exists and lacks a requested image."""
        repository = request.get("repositoryName")
        wanted = request.get("imageIds") or []
        if repository in ecr._repositories and not all(ecr._find_image(repository, image) for image in wanted):
            return error_response_json("ImageNotFoundException", "The image requested does not exist.", 400)
        return describe(request)

    ecr._describe_images = describe_images


def _patch_container_definitions() -> None:
    """Spell every key of a container definition as the ECS API does.

    MiniStack 1.5.33 respells five of the nested settings and keeps the others, secrets and health checks among them, as
    templates spell them. AWS describes all of them in camel case
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html). Remove it when
    `_normalize_container_defs` does so at every depth.
    """
    provisioners._normalize_container_defs = lambda definitions: [camel_case(item) for item in definitions]


def _patch_task_definitions() -> None:
    """Keep the platform, the storage and the volumes of a task definition.

    MiniStack 1.5.33 drops RuntimePlatform and EphemeralStorage of a template, and keeps Volumes as the template spells
    them. AWS describes all three, in camel case
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html). Remove it when MiniStack's
    AWS::ECS::TaskDefinition does.
    """
    create = provisioners._ecs_task_def_create

    def create_task_definition(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Physical id (the ARN) and attributes of the new revision, completed in MiniStack's store."""
        arn, attributes = create(logical_id, properties, stack)
        kept = provisioners._ecs._task_defs[arn.rpartition("/")[2]]
        names = ("RuntimePlatform", "EphemeralStorage", "Volumes")
        kept |= camel_case({name: properties[name] for name in names if name in properties})
        return arn, attributes

    # MiniStack's update, which registers the next revision, calls the create function by its module-level name.
    provisioners._ecs_task_def_create = create_task_definition
    provisioners._RESOURCE_HANDLERS["AWS::ECS::TaskDefinition"]["create"] = create_task_definition


def _patch_service_grace_period() -> None:
    """Keep the health check grace period of a service that CloudFormation creates.

    MiniStack 1.5.33 passes HealthCheckGracePeriodSeconds to UpdateService and leaves it out of CreateService. AWS takes
    it in both (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html). Remove it when
    `_ecs_service_create` passes it on.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ECS::Service"]
    create = handlers["create"]

    def create_service(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Physical id (the ARN) and attributes; the grace period, in seconds, is set by an update that follows."""
        arn, attributes = create(logical_id, properties, stack)
        if seconds := properties.get("HealthCheckGracePeriodSeconds"):
            cluster = properties.get("Cluster", "default")
            wanted = {"cluster": cluster, "service": arn, "healthCheckGracePeriodSeconds": int(seconds)}
            provisioners._ecs._update_service(wanted)
        return arn, attributes

    handlers["create"] = create_service


def _patch_load_balancer_vpc() -> None:
    """Put a load balancer into the VPC of its subnets.

    MiniStack 1.5.33 reads the VPC from a property `VpcId`, which the resource type does not have, and otherwise names
    `vpc-00000001`, which does not exist. AWS describes the VPC of the subnets
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancer.html). Remove it when
    MiniStack derives the VPC from `Subnets`.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ElasticLoadBalancingV2::LoadBalancer"]
    create = handlers["create"]

    def create_balancer(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Physical id (the ARN) and attributes of a load balancer in the VPC of its first known subnet."""
        subnets = (ec2._subnets.get(subnet) for subnet in properties.get("Subnets") or ())
        network = next((subnet["VpcId"] for subnet in subnets if subnet), None)
        located = {**properties, "VpcId": network} if network else properties
        made: tuple[str, dict[str, Any]] = create(logical_id, located, stack)
        return made

    handlers["create"] = create_balancer


def _patch_secret_ref() -> None:
    """Make Ref of a secret its ARN.

    MiniStack 1.5.33 returns the secret's name, so that policies which use Ref grant access to a resource that does not
    exist. AWS returns the ARN
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html).
    Remove it when `_sm_secret_create` returns the ARN as the physical id.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def name_of(arn: str) -> str:
        """The key of a secret in MiniStack's store; an ARN that is not there comes back as it is."""
        secrets = provisioners._sm._secrets
        return next((name for name, secret in secrets.items() if secret["ARN"] == arn), arn)

    def create_secret(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Physical id (the ARN instead of the name) and attributes."""
        _, attributes = create(logical_id, properties, stack)
        return attributes["Arn"], attributes

    def update_secret(
        arn: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Physical id (the ARN instead of the name) and attributes after an update in place or a replacement."""
        _, attributes = update(name_of(arn), old, new, stack, logical_id)
        return attributes["Arn"], attributes

    handlers.update(
        create=create_secret,
        update=update_secret,
        update_with_logical_id=True,
        delete=lambda arn, properties: delete(name_of(arn), properties),
    )


def _patch_metric_math_alarms() -> None:
    """Keep alarms over metric math instead of failing the whole stack.

    MiniStack 1.5.33 raises for a template's `Metrics`, since it has no metric math. AWS evaluates the expression
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html). Here such an alarm is
    stored and listed, and its state never changes. Remove it when MiniStack takes `Metrics`.
    """
    record = provisioners._cw_metric_alarm_record

    def with_metric_math(name: str, properties: dict[str, Any]) -> Any:
        """MiniStack's record of an alarm; one over metric math names the placeholder metric `METRIC_MATH`."""
        if not properties.get("Metrics"):
            return record(name, properties)
        plain = {key: value for key, value in properties.items() if key != "Metrics"}
        kept = record(name, {**plain, "MetricName": METRIC_MATH, "Namespace": METRIC_MATH})
        return {**kept, "Metrics": properties["Metrics"]}

    provisioners._cw_metric_alarm_record = with_metric_math


class _SingleSeriesStore:
    """MiniStack's metric store, in which an iteration sees one series only; reads and writes by key see all of it.

    Keys are (namespace, metric name, dimensions), values are lists of data points.
    """

    def __init__(self, store: Any, dimensions: str) -> None:
        self._store = store
        self._dimensions = dimensions

    def items(self) -> list[tuple[Any, Any]]:
        """Keys and data points of the series with these dimensions."""
        return [(key, points) for key, points in self._store.items() if key[2] == self._dimensions]

    def get(self, key: Any) -> Any:
        """Data points of any series, or None."""
        return self._store.get(key)

    def __setitem__(self, key: Any, points: Any) -> None:
        self._store[key] = points


def _patch_alarm_dimensions() -> None:
    """Evaluate an alarm over the series with its own dimensions.

    MiniStack 1.5.33 mixes all series of a metric's name, so that good scores of one stage hide bad ones of another. AWS
    treats each combination of dimensions as a metric of its own
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension). Remove it when
    `_evaluate_alarm` compares the dimensions.
    """
    evaluate = cloudwatch._evaluate_alarm

    def evaluate_own_series(alarm: dict[str, Any]) -> None:
        """MiniStack's evaluation, for whose duration the metric store shows the alarm's series only."""
        store = cloudwatch._metrics
        own = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
        cloudwatch._metrics = _SingleSeriesStore(store, own)
        try:
            evaluate(alarm)
        finally:
            cloudwatch._metrics = store

    cloudwatch._evaluate_alarm = evaluate_own_series


def _patch_prefix_lists() -> None:
    """Read the prefix lists of a security group's rule from the request.

    MiniStack 1.5.33 describes and matches `PrefixListIds` of a rule, and never reads them from AuthorizeSecurityGroup*
    or RevokeSecurityGroup*. AWS takes them in both
    (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html). Remove it when
    `_parse_ip_permissions` reads them.
    """
    parse = ec2._parse_ip_permissions

    def with_prefix_lists(request: Any, prefix: str) -> Any:
        """The rules below `prefix` (`IpPermissions`) of a query request, each with its prefix lists."""
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


def _patch_vpc_origins() -> None:
    """Call a VPC origin with the protocol and the ports of its endpoint configuration.

    MiniStack 1.5.33 takes protocol and ports from custom origins only, and calls every other origin with the viewer's
    protocol on port 80 or 443. AWS uses those of the VPC origin
    (https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_VpcOriginEndpointConfig.html). Remove it when
    `_dataplane_origin` reads `VpcOriginConfig`.
    """
    parse = cloudfront._dataplane_origin

    def with_vpc_origin(element: Any) -> Any:
        """MiniStack's form of an origin element; ports and read timeout (seconds) as the VPC origin says."""
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


def _patch_role_boundary() -> None:
    """Keep the permissions boundary of a role that CloudFormation makes or changes.

    MiniStack 1.5.33 drops it, so that a role may do whatever is attached to it. AWS sets and changes it
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html). Remove it when
    MiniStack's AWS::IAM::Role reads `PermissionsBoundary`.
    """
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create, update = handlers["create"], handlers["update"]

    def bounded(made: tuple[str, dict[str, Any]], properties: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        iam._roles[made[0]]["PermissionsBoundary"] = properties.get("PermissionsBoundary")
        return made

    def create_role(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Physical id (the name) and attributes of a role within its boundary."""
        return bounded(create(logical_id, properties, stack), properties)

    def update_role(
        name: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Physical id and attributes of a role within its new boundary."""
        return bounded(update(name, old, new, stack, logical_id), new)

    handlers.update(create=create_role, update=update_role)
