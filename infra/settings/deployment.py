"""Deployment settings: one typed, validated model per stage.

`infra/config/<stage>.toml` holds a stage's values; `TWIN_` environment variables override single ones, nested by `__`
(`TWIN_LLM__MAX_COPIES=2`, `TWIN_LLM__ENVIRONMENT='{"NAME": "value"}'`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from infra.names import stage_prefix
from infra.settings.delivery import DeliverySettings
from infra.settings.edge_limits import ORIGIN_FACING, PREFIX_LIST
from infra.settings.evaluation import EvaluationSettings
from infra.settings.guard import GuardSettings
from infra.settings.judge import JudgeSettings
from infra.settings.llm import LlmSettings
from infra.settings.llm_images import REGISTRIES
from infra.settings.monitoring import MonitoringSettings
from infra.settings.network import NetworkSettings
from infra.settings.rag import RagSettings
from infra.settings.retrieval import EmbeddingSettings, RetrievalSettings, VectorSettings

CONFIG = Path(__file__).parent.parent / "config"
PREFIX = "TWIN_"
NESTING = "__"
STAGE_VARIABLE = f"{PREFIX}STAGE"
"""Refused when it names another stage: it would rename every resource."""
EPHEMERAL = re.compile(r"pr-[1-9]\d{0,6}")
"""Stages of pull requests; they share one settings file."""
EPHEMERAL_FILE = "preview"


class SettingsError(ValueError):
    """A wrong or missing setting; the message says what to set and where."""


class DeploymentSettings(BaseSettings):
    """All settings of one stage."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=NESTING, extra="forbid", frozen=True, validate_default=True
    )

    stage: str = Field(description="Name of the stage, part of every name.", pattern=r"^[a-z][a-z0-9-]{0,19}$")
    account: str | None = Field(
        None, description="AWS account; empty: templates that fit any account.", pattern=r"^\d{12}$"
    )
    region: str = Field("us-east-1", description="AWS region.", pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    release: str = Field(
        "0.1.0", description="Release to run; the tag of the service's image.", pattern=r"^[\w][\w.-]{0,127}$"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Further tags of every resource.")
    network: NetworkSettings = Field(NetworkSettings.model_validate({}), description="The VPC.")
    llm: LlmSettings = Field(LlmSettings.model_validate({}), description="The LLM microservice.")
    rag: RagSettings = Field(RagSettings.model_validate({}), description="The RAG service.")
    vectors: VectorSettings = Field(description="The vector store.")
    retrieval: RetrievalSettings = Field(RetrievalSettings.model_validate({}), description="Retrieval of documents.")
    monitoring: MonitoringSettings = Field(description="Traces, logs, dashboard.")
    embedding: EmbeddingSettings = Field(EmbeddingSettings.model_validate({}), description="The embedding model.")
    evaluation: EvaluationSettings = Field(
        EvaluationSettings.model_validate({}), description="Collection and evaluation of sampled answers, and alarms."
    )
    judge: JudgeSettings = Field(JudgeSettings.model_validate({}), description="The model that judges answers.")
    guard: GuardSettings = Field(GuardSettings.model_validate({}), description="Cost limits.")
    delivery: DeliverySettings = Field(
        DeliverySettings.model_validate({}), description="Access of one GitHub repository to the account."
    )

    @model_validator(mode="after")
    def _hosts_where_there_is_a_way_out(self) -> DeploymentSettings:
        if self.vectors.hosted and self.network.layout == "private" and not self.network.nat_gateways:
            raise ValueError(
                "vectors.hosted needs internet access for its machine (Qdrant's release, Systems Manager): "
                "network.nat_gateways of 1 or more, or network.layout public"
            )
        return self

    @model_validator(mode="after")
    def _pulls_a_published_image(self) -> DeploymentSettings:
        if self.rag.image and self.network.layout == "private" and not self.network.nat_gateways:
            raise ValueError(
                "rag.image is pulled over the internet: network.nat_gateways of 1 or more, or network.layout public"
            )
        return self

    @model_validator(mode="after")
    def _sleeps_outside_its_hours(self) -> DeploymentSettings:
        if self.guard.office_hours is not None and self.llm.mode == "real-time":
            raise ValueError(
                "guard.office_hours needs an endpoint that can sleep: llm.mode inference-component, or no office_hours"
            )
        return self

    @model_validator(mode="after")
    def _cloudfront_is_known_in_the_region(self) -> DeploymentSettings:
        rag = self.rag
        if rag.edge == "cloudfront" and rag.edge_prefix_list is None and self.region not in ORIGIN_FACING:
            raise ValueError(
                f"rag.edge_prefix_list: CloudFront's prefix list in {self.region} is not known here. Set the id "
                f"that `aws ec2 describe-managed-prefix-lists --region {self.region} --filters "
                f"Name=prefix-list-name,Values={PREFIX_LIST}` gives"
            )
        return self

    @model_validator(mode="after")
    def _containers_are_known_in_the_region(self) -> DeploymentSettings:
        if "{registry}" in self.llm.container_image and self.region not in REGISTRIES:
            raise ValueError(
                f"llm.image: the account of AWS's containers in {self.region} is not known here. Set the whole address "
                "of an image: https://aws.github.io/deep-learning-containers/reference/region_availability/"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment beats the file, whose values arrive as constructor arguments."""
        return (env_settings, init_settings)

    @property
    def is_preview(self) -> bool:
        """Whether the stage is that of a pull request."""
        return EPHEMERAL.fullmatch(self.stage) is not None

    @property
    def keeps_documents(self) -> bool:
        """Whether the stage has a bucket of its own for documents: those of a folder, for a store that it hosts."""
        rag = self.rag
        is_folder = rag.documents is not None and not rag.documents.startswith("s3://")
        return is_folder and rag.documents_bucket is None and self.vectors.hosted is not None

    @property
    def prefix(self) -> str:
        """Prefix of the name of everything that belongs to this stage."""
        return stage_prefix(self.stage)

    @property
    def availability_zones(self) -> tuple[str, ...]:
        """Zones of the VPC; synthesis makes no look-up."""
        return self.network.availability_zones or (f"{self.region}a", f"{self.region}b")

    def expires_at(self, now: datetime) -> datetime:
        """When the model is parked, in UTC; a real-time endpoint is deleted then.

        Rounded up to the hour, so that a second deployment within the hour changes nothing.
        """
        fixed = self.guard.expires_at
        if fixed is not None:
            return fixed.astimezone(UTC)
        end = now.astimezone(UTC) + timedelta(hours=self.guard.ttl_hours)
        whole = end.replace(minute=0, second=0, microsecond=0)
        return whole if whole == end else whole + timedelta(hours=1)

    def deletes_at(self, now: datetime) -> datetime:
        """When the LLM stack is deleted, in UTC: at once where the model cannot be parked, else after it was parked."""
        if self.llm.mode == "real-time":
            return self.expires_at(now)
        parked = self.guard.delete_after_hours - self.guard.ttl_hours
        return self.expires_at(now) + timedelta(hours=parked)


def load_settings(stage: str) -> DeploymentSettings:
    """Read the settings of a stage.

    Raises:
        SettingsError: for a stage without a file, an unreadable file, and every wrong, missing or unknown value.
    """
    path = CONFIG / f"{EPHEMERAL_FILE if EPHEMERAL.fullmatch(stage) else stage}.toml"
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", stage) or not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIG.glob("*.toml")))
        raise SettingsError(f"Stage {stage!r} has no settings: use one of {known}, or add infra/config/{stage}.toml.")
    _refuse_unknown_variables(os.environ)
    if os.environ.get(STAGE_VARIABLE, stage) != stage:
        raise SettingsError(
            f"{STAGE_VARIABLE} is {os.environ[STAGE_VARIABLE]!r} where stage {stage!r} is asked for: a stage is named "
            f"by the command alone (STAGE={stage} with make, --stage {stage} with twin). Unset {STAGE_VARIABLE}."
        )
    values = _read(path)
    if "account" not in values and os.environ.get("CDK_DEFAULT_ACCOUNT"):
        values["account"] = os.environ["CDK_DEFAULT_ACCOUNT"]
    try:
        return DeploymentSettings(**{**values, "stage": stage})
    except ValidationError as error:
        raise SettingsError(_explain(error, stage)) from None
    except pydantic_settings.SettingsError as error:
        name = re.search(r'"(\w+)"', str(error))
        variable = f"{PREFIX}{name.group(1).upper()}" if name else f"a {PREFIX} variable"
        raise SettingsError(f"The value of {variable} (or of a variable below it) is not valid JSON.") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"infra/config/{path.name} is not valid TOML: {error}.") from None


def _refuse_unknown_variables(names: Iterable[str]) -> None:
    """Refuse a misspelt group, which would otherwise be ignored; groups refuse misspelt keys themselves."""
    groups = {f"{PREFIX}{name.upper()}" for name in DeploymentSettings.model_fields}
    for name in names:
        group = name.split(NESTING)[0]
        if name.startswith(PREFIX) and NESTING in name and group not in groups:
            raise SettingsError(
                f"{name} names no setting: there is no group {group}; known are {', '.join(sorted(groups))}."
            )


def _explain(error: ValidationError, stage: str) -> str:
    sentences = []
    for problem in error.errors(include_url=False, include_input=False):
        parts = [str(part) for part in problem["loc"]]
        if not parts:
            # A check across several groups names them in its own message.
            sentences.append(f"{problem['msg'].removeprefix('Value error, ')}. See infra/config/{stage}.toml.")
            continue
        variable = PREFIX + NESTING.join(part.upper() for part in parts[:2])
        table = f"[{parts[0]}]" if len(parts) > 1 else "the top"
        key = parts[1] if len(parts) > 1 else parts[0]
        reason = problem["msg"].removeprefix("Value error, ")
        name = ".".join(parts)
        if problem["type"] == "extra_forbidden":
            sentences.append(
                f"{name} is no setting: remove {key!r} from {table} of infra/config/{stage}.toml, or unset {variable}."
            )
        else:
            sentences.append(f"{name}: {reason}. Set {key!r} in {table} of infra/config/{stage}.toml, or {variable}.")
    return "\n".join(sentences)
