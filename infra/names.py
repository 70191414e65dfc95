"""Names that stay the same for the life of a stage.

Stacks share them instead of exports where the resource behind a name may be replaced: CloudFormation refuses to replace
what another stack imports. Everything else is named by CloudFormation, so that a fixed name never blocks a replacement.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.settings.deployment import DeploymentSettings

DELIVERY = "twin-delivery"
"""What the name of everything starts with that belongs to the account's pipeline, not to a stage."""
DELIVERY_STACK = DELIVERY


def served_component(settings: DeploymentSettings) -> str | None:
    """The inference component that callers name; None for an endpoint that holds the model itself and refuses one."""
    return Names.of(settings).inference_component if settings.llm.mode == "inference-component" else None


@dataclass(frozen=True)
class Names:
    """Fixed names of one stage."""

    prefix: str

    @classmethod
    def of(cls, settings: DeploymentSettings) -> Names:
        """The names of a stage."""
        return cls(settings.prefix)

    def stack(self, name: str) -> str:
        """Name of a stack: `network`, `llm`, `business`, `evaluation` or `guard`."""
        return f"{self.prefix}-{name}"

    @property
    def endpoint(self) -> str:
        """Name of the SageMaker endpoint; its configuration and models change under it."""
        return f"{self.prefix}-llm"

    @property
    def inference_component(self) -> str:
        """Name of the inference component that serves the model."""
        return f"{self.prefix}-llm-model"

    def weights_bucket(self, account: str, region: str) -> str:
        """Bucket of the model's weights where no other is set; the name is one of all accounts and regions."""
        return f"{self.prefix}-weights-{account}-{region}"

    @property
    def judging(self) -> str:
        """Name of the state machine for long evaluations, which its own last step comes to need."""
        return f"{self.prefix}-judging"

    @property
    def dashboard(self) -> str:
        """The CloudWatch dashboard."""
        return f"{self.prefix}-overview"
