"""Lambda functions over `services`: each with its own role, log group and dead-letter queue, no managed policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.constructs.shared.acknowledge import acknowledge
from infra.constructs.shared.dead_letters import dead_letter_queue
from infra.constructs.shared.logs import log_group, writes_to
from infra.settings.evaluation import EvaluationSettings

ROOT = Path(__file__).resolve().parents[3]
LAYER = ROOT / ".local" / "build" / "evaluation-layer"
STAMP = "built-from.json"
LOCK = ROOT / "requirements" / "evaluation.txt"
NOT_BUILT = "twin:layer-not-built"
"""Id of the warning that the layer is missing."""
RUNTIMES = {
    "python3.12": lambda_.Runtime.PYTHON_3_12,
    "python3.13": lambda_.Runtime.PYTHON_3_13,
    "python3.14": lambda_.Runtime.PYTHON_3_14,
}
# Packages that the functions run and import. The root's __init__.py keeps `services` a package.
PACKAGES = ("common", "evaluation", "guard")
SHIPPED = ("*", "!services", "!services/__init__.py", *(f"!services/{name}" for name in PACKAGES))
LEFT_OUT = ("**/__pycache__", "**/*.pyc")


def code() -> lambda_.Code:
    """The `services` package with the parts that the functions need."""
    patterns = [*SHIPPED, *(f"!services/{name}/**" for name in PACKAGES), *LEFT_OUT]
    return lambda_.Code.from_asset(str(ROOT), exclude=patterns, ignore_mode=cdk.IgnoreMode.GIT)


class DependencyLayer(Construct):
    """The functions' dependencies as one layer.

    The layer is built separately (`make evaluation-layer`), so that synthesis needs no network. Where it is missing, or
    was built for another lock or runtime, the lock file takes its place. That is enough where the platform has the
    dependencies; elsewhere the synthesis warns. The asset's hash comes from the built layer's stamp, or from the lock:
    the lock file alone never has the hash of the layer that is built from it.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: EvaluationSettings) -> None:
        super().__init__(scope, construct_id)
        built_from = None if settings.platform_has_dependencies else _built_from(settings.runtime)
        source = LOCK.parent if built_from is None else LAYER
        kind = "recipe" if built_from is None else "built"
        made_from = LOCK.read_bytes() if built_from is None else built_from
        digest = hashlib.sha256(f"{kind} {settings.runtime}\n".encode() + made_from).hexdigest()
        self.layer = lambda_.LayerVersion(
            self,
            "Layer",
            description=f"Dependencies of the evaluation functions ({kind})",
            code=lambda_.Code.from_asset(
                str(source),
                exclude=["*", f"!{LOCK.name}"] if source == LOCK.parent else None,
                asset_hash=digest,
                asset_hash_type=cdk.AssetHashType.CUSTOM,
            ),
            compatible_runtimes=[RUNTIMES[settings.runtime]],
            compatible_architectures=[lambda_.Architecture.ARM_64],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        if kind == "recipe" and not settings.platform_has_dependencies:
            cdk.Annotations.of(self).add_warning_v2(
                NOT_BUILT,
                "The evaluation functions' dependencies are not built: they would fail at import.",
            )


def _built_from(runtime: str) -> bytes | None:
    """Stamp of the built layer; None when there is no layer for the current lock and this runtime."""
    stamp = LAYER / STAMP
    if not stamp.is_file():
        return None
    found = stamp.read_bytes()
    wanted = {"runtime": runtime, "machine": "aarch64", "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest()}
    return found if wanted.items() <= json.loads(found).items() else None


class ServiceFunction(Construct):
    """A Lambda over one handler module of `services`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        description: str,
        settings: EvaluationSettings,
        environment: Mapping[str, str],
        timeout: cdk.Duration,
        log_retention_days: int,
        layers: Sequence[lambda_.ILayerVersion] = (),
        asynchronous: bool = True,
    ) -> None:
        """Declare the function with its role, log group and, for asynchronous callers, dead-letter queue.

        Args:
            scope: parent.
            construct_id: of this construct.
            handler: module with the function `handler`, such as `services.guard.handlers.expire`.
            description: shown in the console.
            settings: runtime and memory.
            environment: plain variables.
            timeout: longest run.
            log_retention_days: of the log group.
            layers: of the function.
            asynchronous: whether Lambda queues the calls; a function that polls a queue has that queue's own
                dead-letter queue.
        """
        super().__init__(scope, construct_id)
        group = log_group(self, "Logs", log_retention_days)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.role.add_to_policy(writes_to(group))
        self.dead_letters = dead_letter_queue(self, "DeadLetters") if asynchronous else None
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=RUNTIMES[settings.runtime],
            architecture=lambda_.Architecture.ARM_64,
            handler=f"{handler}.handler",
            code=code(),
            layers=list(layers),
            environment=dict(environment),
            memory_size=settings.memory_mb,
            timeout=timeout,
            role=self.role,
            log_group=group,
            dead_letter_queue=self.dead_letters,
            retry_attempts=2 if asynchronous else None,
        )
        self.function.node.add_dependency(self.role)
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            "The runtime is a setting: it must be one that every locked dependency has a wheel for.",
        )
