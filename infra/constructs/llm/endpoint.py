"""The LLM microservice: SageMaker model, endpoint configuration, endpoint and, where it may sleep, inference component.

Written over L1 constructs: CDK's L2 has no inference component. The component may be scaled to zero copies, and then
managed instance scaling takes the last instance away, so that an idle endpoint costs nothing. A real-time endpoint
holds the model in its variant and always runs.
"""

from __future__ import annotations

import re
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.llm import container
from infra.constructs.llm.metrics import VARIANT, LlmMetrics
from infra.constructs.llm.role import LlmRole
from infra.constructs.llm.rollout import LlmRollout
from infra.constructs.shared.logs import log_group, writes_to
from infra.settings.data_capture import DataCapture
from infra.settings.llm import LlmSettings

SHORTEST_SEARCH_SECONDS = 300
"""SageMaker's least time for finding an instance: botocore, VariantInstanceProvisionTimeoutInSeconds, 300 to 3600."""


class LlmEndpoint(Construct):
    """An endpoint with one model, under names that stay the same for every model.

    Model and endpoint configuration have no name here: CloudFormation replaces them when their content changes, and
    moves the endpoint and the component to the new ones in place.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: LlmSettings,
        metrics: LlmMetrics,
        weights_bucket: str,
        log_retention_days: int,
    ) -> None:
        """
        Args:
            scope: parent.
            construct_id: of this construct.
            settings: of the model.
            metrics: of the endpoint and the component, with their names.
            weights_bucket: bucket of staged weights; read only when the settings say that they are staged.
            log_retention_days: of the containers' logs.
        """
        super().__init__(scope, construct_id)
        self.endpoint_name, self.component_name = metrics.endpoint_name, metrics.component_name
        # SageMaker writes to these names; declared here, they have a retention and are deleted with the stack.
        groups = [log_group(self, "EndpointLogs", log_retention_days, f"/aws/sagemaker/Endpoints/{self.endpoint_name}")]
        if self.component_name is not None:
            name = f"/aws/sagemaker/InferenceComponents/{self.component_name}"
            groups.append(log_group(self, "ContainerLogs", log_retention_days, name))
        image = settings.image_in(cdk.Stack.of(self).region)
        self.rollout = LlmRollout(self, "Rollout", settings=settings, metrics=metrics)
        self._execution = LlmRole(self, "Execution", image=image)
        self.role = self._execution.role
        self.role.add_to_policy(writes_to(*groups))
        self._execution.allow_log_streams([group.log_group_arn for group in groups])
        if settings.weights == "s3":
            self._execution.allow_weights(weights_bucket, settings.weights_prefix, settings.weights_kms_key_arn)
        if settings.ssm_access:
            self._execution.allow_sessions()
        if self.rollout.alarms:
            self._execution.allow_alarms([alarm.alarm_arn for alarm in self.rollout.alarms])
        self.model = self._model("Model", settings, image, weights_bucket)
        self._models = {
            kind: self._model(f"Model{re.sub(r'[^a-z0-9]', '', kind)}", settings.on(kind), image, weights_bucket)
            for kind in settings.fallback_models
        }
        self.config = self._config(settings)
        self.endpoint = self._endpoint(settings)
        self.component = None if self.component_name is None else self._component(settings, self.component_name)
        made = (self.model, *self._models.values(), self.config, self.endpoint)
        for resource in (*made, *([self.component] if self.component else ())):
            # The policy must exist before SageMaker uses the role, and the log groups before SageMaker makes its own.
            resource.node.add_dependency(self.role, *groups)

    def _model(self, construct_id: str, settings: LlmSettings, image: str, weights_bucket: str) -> sagemaker.CfnModel:
        return sagemaker.CfnModel(
            self,
            construct_id,
            execution_role_arn=self.role.role_arn,
            # With staged weights the container needs no network; to load from a hub it does.
            enable_network_isolation=True if settings.weights == "s3" else None,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image,
                environment=container.environment(settings),
                model_data_source=container.data_source(settings, weights_bucket),
            ),
        )

    def _model_on(self, instance_type: str) -> sagemaker.CfnModel:
        return self._models.get(instance_type, self.model)

    def _config(self, settings: LlmSettings) -> sagemaker.CfnEndpointConfig:
        return sagemaker.CfnEndpointConfig(
            self,
            "Config",
            # Where the variant names a model, role and isolation are the model's.
            execution_role_arn=self.role.role_arn if self.component_name else None,
            enable_network_isolation=True if self.component_name and settings.weights == "s3" else None,
            kms_key_id=settings.kms_key_arn,
            production_variants=[self._variant(settings)],
            metrics_config=sagemaker.CfnEndpointConfig.MetricsConfigProperty(
                enable_detailed_observability=settings.detailed_observability
            ),
            data_capture_config=self._captures(settings.data_capture) if settings.data_capture else None,
        )

    def _variant(self, settings: LlmSettings) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
        props = sagemaker.CfnEndpointConfig
        scaling = props.ManagedInstanceScalingProperty(
            status="ENABLED", min_instance_count=0, max_instance_count=settings.max_instances
        )
        pools = [
            props.InstancePoolProperty(
                instance_type=kind,
                priority=priority,
                # Where components bring the models, their specifications do this.
                model_name_override=(
                    self._models[kind].attr_model_name if kind in self._models and not self.component_name else None
                ),
            )
            for priority, kind in enumerate(settings.instance_types, 1)
        ]
        return props.ProductionVariantProperty(
            variant_name=VARIANT,
            model_name=None if self.component_name else self.model.attr_model_name,
            instance_type=None if settings.fallback_instance_types else settings.instance_type,
            instance_pools=pools if settings.fallback_instance_types else None,
            initial_instance_count=1 if self.component_name else min(settings.initial_copies, settings.max_instances),
            initial_variant_weight=None if self.component_name else 1,
            inference_ami_version=settings.ami_version,
            # A component has its own, and a change here would replace the configuration, and with it the instances.
            model_data_download_timeout_in_seconds=None if self.component_name else settings.startup_timeout_seconds,
            container_startup_health_check_timeout_in_seconds=(
                None if self.component_name else settings.startup_timeout_seconds
            ),
            # Bounds the search through the pools, without start-up.
            variant_instance_provision_timeout_in_seconds=(
                max(SHORTEST_SEARCH_SECONDS, settings.startup_timeout_seconds)
                if settings.fallback_instance_types
                else None
            ),
            enable_ssm_access=True if settings.ssm_access else None,
            managed_instance_scaling=scaling if self.component_name else None,
            routing_config=props.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
        )

    def _captures(self, capture: DataCapture) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        props = sagemaker.CfnEndpointConfig
        prefix = f"captured/{self.endpoint_name}"
        self._execution.allow_captures(capture, prefix)
        return props.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=capture.percentage,
            destination_s3_uri=f"s3://{capture.bucket}/{prefix}",
            kms_key_id=capture.kms_key_arn,
            capture_options=[props.CaptureOptionProperty(capture_mode=mode) for mode in ("Input", "Output")],
            # Everything else would be written in base64.
            capture_content_type_header=props.CaptureContentTypeHeaderProperty(json_content_types=["application/json"]),
        )

    def _endpoint(self, settings: LlmSettings) -> sagemaker.CfnEndpoint:
        return sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=self.config.attr_endpoint_config_name,
            deployment_config=None if self.component_name else self.rollout.of_endpoint(),
            # Scaling owns the number of instances: an update keeps it.
            retain_all_variant_properties=None if self.component_name else True,
        )

    def _component(self, settings: LlmSettings, name: str) -> sagemaker.CfnInferenceComponent:
        props = sagemaker.CfnInferenceComponent
        component = sagemaker.CfnInferenceComponent(
            self,
            "Component",
            inference_component_name=name,
            endpoint_name=self.endpoint_name,
            variant_name=VARIANT,
            deployment_config=self.rollout.of_component(),
            # SageMaker takes either one for all instance types, or one for each of them.
            specification=(
                None
                if self._models
                else props.InferenceComponentSpecificationProperty(**self._needs(settings, settings.instance_type))
            ),
            specifications=(
                [
                    props.InferenceComponentSpecificationForInstanceTypeProperty(
                        instance_type=kind, **self._needs(settings, kind)
                    )
                    for kind in settings.instance_types
                ]
                if self._models
                else None
            ),
            # Scaling owns the number afterwards: CloudFormation touches it again only if this value changes.
            runtime_config=props.InferenceComponentRuntimeConfigProperty(copy_count=settings.initial_copies),
        )
        component.add_resource_dependency(self.endpoint)
        return component

    def _needs(self, settings: LlmSettings, instance_type: str) -> dict[str, Any]:
        """The model of an instance type, its time to start, and what a copy takes of the machine."""
        props, here = sagemaker.CfnInferenceComponent, settings.on(instance_type)
        return {
            "model_name": self._model_on(instance_type).attr_model_name,
            "startup_parameters": props.InferenceComponentStartupParametersProperty(
                model_data_download_timeout_in_seconds=here.startup_timeout_seconds,
                container_startup_health_check_timeout_in_seconds=here.startup_timeout_seconds,
            ),
            "compute_resource_requirements": props.InferenceComponentComputeResourceRequirementsProperty(
                number_of_accelerator_devices_required=here.accelerators,
                min_memory_required_in_mb=here.memory_mb,
            ),
        }
