"""The LLM microservice: SageMaker model, endpoint configuration, endpoint and inference component.

Written over L1 constructs: CDK's L2 has no inference component. The component may be scaled to zero copies, and then
managed instance scaling takes the last instance away, so that an idle endpoint costs nothing.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.acknowledge import acknowledge
from infra.constructs.logs import log_group, writes_to
from infra.settings_groups.llm import LlmSettings

VARIANT = "AllTraffic"


class LlmEndpoint(Construct):
    """An endpoint and its one inference component, under names that outlive every model.

    Model and endpoint configuration have no name here: CloudFormation replaces them when their content changes, and
    moves the endpoint and the component to the new ones in place.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: LlmSettings,
        endpoint_name: str,
        component_name: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, construct_id)
        self.endpoint_name = endpoint_name
        self.component_name = component_name
        # SageMaker writes to these names; declared here, they have a retention and leave with the stack.
        groups = [
            log_group(
                self, "ContainerLogs", log_retention_days, f"/aws/sagemaker/InferenceComponents/{component_name}"
            ),
            log_group(self, "EndpointLogs", log_retention_days, f"/aws/sagemaker/Endpoints/{endpoint_name}"),
        ]
        image = settings.image.replace("{region}", cdk.Stack.of(self).region)
        self.role = self._execution_role(image)
        self.role.add_to_policy(writes_to(*groups))

        self.model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image, environment=self._environment(settings)
            ),
        )
        self.config = self._config(settings)
        self.endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=endpoint_name,
            endpoint_config_name=self.config.attr_endpoint_config_name,
        )
        self.component = self._component(settings)
        for resource in (self.model, self.config, self.endpoint, self.component):
            # The policy must exist before SageMaker uses the role, and the log groups before SageMaker makes its own.
            resource.node.add_dependency(self.role, *groups)

    def _environment(self, settings: LlmSettings) -> dict[str, str]:
        environment = {
            "SM_VLLM_MODEL": settings.model_id,
            "SM_VLLM_REVISION": settings.model_revision,
            "SM_VLLM_MAX_MODEL_LEN": str(settings.max_model_len),
            "SM_VLLM_DTYPE": settings.dtype,
            # Without it vLLM uses one GPU, however many the copy has.
            "SM_VLLM_TENSOR_PARALLEL_SIZE": str(settings.accelerators),
            **settings.environment,
        }
        if settings.hub_token_secret_arn is not None:
            # A dynamic reference: the template names the secret, CloudFormation reads it at deployment.
            token = cdk.SecretValue.secrets_manager(settings.hub_token_secret_arn)
            environment["HF_TOKEN"] = token.unsafe_unwrap()
        return environment

    def _config(self, settings: LlmSettings) -> sagemaker.CfnEndpointConfig:
        props = sagemaker.CfnEndpointConfig
        return sagemaker.CfnEndpointConfig(
            self,
            "Config",
            execution_role_arn=self.role.role_arn,
            kms_key_id=settings.kms_key_arn,
            production_variants=[
                props.ProductionVariantProperty(
                    variant_name=VARIANT,
                    instance_type=settings.instance_type,
                    initial_instance_count=1,
                    inference_ami_version=settings.inference_ami_version,
                    model_data_download_timeout_in_seconds=settings.startup_timeout_seconds,
                    container_startup_health_check_timeout_in_seconds=settings.startup_timeout_seconds,
                    managed_instance_scaling=props.ManagedInstanceScalingProperty(
                        status="ENABLED", min_instance_count=0, max_instance_count=settings.max_instances
                    ),
                    routing_config=props.RoutingConfigProperty(routing_strategy="LEAST_OUTSTANDING_REQUESTS"),
                )
            ],
        )

    def _component(self, settings: LlmSettings) -> sagemaker.CfnInferenceComponent:
        props = sagemaker.CfnInferenceComponent
        component = sagemaker.CfnInferenceComponent(
            self,
            "Component",
            inference_component_name=self.component_name,
            endpoint_name=self.endpoint_name,
            variant_name=VARIANT,
            specification=props.InferenceComponentSpecificationProperty(
                model_name=self.model.attr_model_name,
                startup_parameters=props.InferenceComponentStartupParametersProperty(
                    model_data_download_timeout_in_seconds=settings.startup_timeout_seconds,
                    container_startup_health_check_timeout_in_seconds=settings.startup_timeout_seconds,
                ),
                compute_resource_requirements=props.InferenceComponentComputeResourceRequirementsProperty(
                    number_of_accelerator_devices_required=settings.accelerators,
                    min_memory_required_in_mb=settings.memory_mb,
                ),
            ),
            # Scaling owns the number afterwards: CloudFormation touches it again only if this value changes.
            runtime_config=props.InferenceComponentRuntimeConfigProperty(copy_count=settings.initial_copies),
        )
        component.add_resource_dependency(self.endpoint)
        return component

    def _execution_role(self, image: str) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            description="What SageMaker may do for the LLM endpoint: pull its image, write its logs and metrics",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
            ),
        )
        account, repository = image.split(".", 1)[0], image.split("/", 1)[1].split("@")[0].split(":")[0]
        role.add_to_policy(
            iam.PolicyStatement(
                sid="PullImage",
                actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                resources=[f"arn:{stack.partition}:ecr:{stack.region}:{account}:repository/{repository}"],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(sid="LogInToEcr", actions=["ecr:GetAuthorizationToken"], resources=["*"])
        )
        role.add_to_policy(
            iam.PolicyStatement(
                sid="PublishMetrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={
                    "StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]},
                },
            )
        )
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            "GetAuthorizationToken and PutMetricData know no resource; the latter is held to SageMaker's namespaces.",
        )
        return role
