"""Writes docs/environment.md: the environment variables of each deployable, from the settings that read them.

`python -m scripts.configuration_docs` (`make docs`) calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra.environment import OPIK_CONSTANTS
from scripts.settings_table import settings_rows, table
from services.common.settings import ServiceSettings
from services.evaluation.settings import CollectSettings, EvaluateSettings, ExpireSamplesSettings, NotifySettings
from services.guard.settings import ExpireSettings, StopSpendingSettings
from services.llm.settings import LlmSettings
from services.rag.settings import RagSettings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "environment.md"
INTRODUCTION = """# Environment of each deployable

Made from the services' settings by `make docs`; do not edit it by hand.

A process reads its environment once, at its start. A variable that is missing or wrong ends the start with one sentence
that names it and what it accepts. An empty variable counts as unset; lists and tables are JSON. A variable that no
setting knows is ignored.

The stacks (`infra/`) set every variable that is required, and those that a setting of the stage decides
([configuration](configuration.md)); the others keep their default. `make synth STAGE=dev` writes the exact environment
of each deployable into `cdk.out/`. `tests/infra/test_environment_contract.py` compares what the stacks set with what
the services read.

Region and credentials come from the platform (the ECS agent, SageMaker, Lambda), not from the template. In the local
cloud the platform also sets `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`, and the credentials are the
local cloud's own ([architecture](architecture.md#local-cloud-processes)).
"""


LOCAL_CLOUD = """## Local cloud

Read at its start (`make local-start`), beside the variables of the deployables that it runs. What the times are, and
where they are from: [aws-rules](aws-rules.md#times).

| variable | values | default | what it is |
| --- | --- | --- | --- |
| `LOCALCLOUD_TIME_FACTOR` | number, above 0 | `50` | how much quicker AWS's times pass; 1 is as slow as AWS |
| `LOCALCLOUD_WAKE` | `pessimistic`, or seconds on AWS | measured times | how long a model takes to wake |
| `LOCALCLOUD_SCALE_IN` | `on` | off | copies without calls are taken away |
| `LOCALCLOUD_STACK_TIMES` | `on` | off | stacks take AWS's minutes for VPC origins, distributions and new components |
| `LOCALCLOUD_STABILISE_SECONDS` | number | `60` | real seconds in which a container must get healthy |
| `LOCALCLOUD_AWS_RULES` | `off`, or `-name,-name` | all rules | which rules of [aws-rules](aws-rules.md) are left out |
"""


@dataclass(frozen=True)
class Deployable:
    """One program that is deployed, and what its section says beside the table."""

    title: str
    text: str
    settings: type[ServiceSettings]


SERVICES = (
    Deployable(
        "RAG service",
        """ECS container, command `python -m services.rag`, container port 8000; settings in `services/rag/settings.py`.
`python -m services.rag.ingest` reads the part of them that is about the store and the embedding model,
`python -m services.rag.evaluate_retrieval` also the part about retrieval.

| variable | note |
| --- | --- |
| `QDRANT_API_KEY`, `OPIK_API_KEY`, `SENTRY_DSN` | ECS secrets, read at the start of a task |
| `QDRANT_CA_PEM` | ECS secret from an SSM parameter, where the stage hosts its vector store |
| `QDRANT_API_KEY_SECRET_ARN`, `OPIK_API_KEY_SECRET_ARN` | read when the key of the start is refused |
| `API_KEYS_SECRET_ARN` | read by the task role while the service runs, so that a new key needs no deployment |

The secret behind `API_KEYS_SECRET_ARN` is JSON; `requests_per_minute` is optional:
`{"keys": [{"name": "...", "sha256": "<hex of the key>", "requests_per_minute": 60}]}`.
""",
        RagSettings,
    ),
    Deployable(
        "LLM microservice",
        """On AWS the SageMaker container is vLLM or LMI. Each reads its own variables; the setting `llm.environment`
adds to what the stack sets, or replaces it.

| the stack sets | `vllm` | `lmi` |
| --- | --- | --- |
| the model of the hub | `SM_VLLM_MODEL`, `SM_VLLM_REVISION` | `HF_MODEL_ID`, `OPTION_REVISION` |
| staged weights | `SM_VLLM_MODEL` (their folder) | none, LMI finds them |
| name in answers | `SM_VLLM_SERVED_MODEL_NAME`, where it is another than the model's | `OPTION_SERVED_MODEL_NAME` |
| longest prompt and answer | `SM_VLLM_MAX_MODEL_LEN` | `OPTION_MAX_MODEL_LEN` |
| number format | `SM_VLLM_DTYPE` | `OPTION_DTYPE`, unless the engine chooses |
| GPUs of a copy | `SM_VLLM_TENSOR_PARALLEL_SIZE` | `TENSOR_PARALLEL_DEGREE` |
| quantization at the start | `SM_VLLM_QUANTIZATION` | `OPTION_QUANTIZE` |
| token of a gated model | `HF_TOKEN` | `HF_TOKEN` |

In the local cloud the program is `python -m services.llm`, which reads the table below (`services/llm/settings.py`).
Stage `local` sets `EMBEDDING_MODEL_DIR`, `SM_VLLM_SERVED_MODEL_NAME` and what `make local-start LLM=...` chose, and
leaves every other variable of `llm.environment` as it is. It listens on 8080, or on the port that the platform sets.
""",
        LlmSettings,
    ),
)
FUNCTIONS = (
    Deployable(
        "collect_samples",
        "`services.evaluation.handlers.collect_samples.handler`, called by the samples queue (SQS).\n",
        CollectSettings,
    ),
    Deployable(
        "evaluate_monitoring, judge_shard, finish_run",
        """| handler | called by |
| --- | --- |
| `services.evaluation.handlers.evaluate_monitoring.handler` | the Scheduler, `collect_samples`, `twin evaluate` |
| `services.evaluation.handlers.judge_shard.handler` | the state machine, once per shard |
| `services.evaluation.handlers.finish_run.handler` | the state machine, at its end |

`STATE_MACHINE_ARN` is set for the first only, `EVALUATE_FUNCTION_NAME` for the last only, and
`WATERMARK_PARAMETER_NAME` not for `judge_shard`. What the judge needs: [judging](judging.md).
""",
        EvaluateSettings,
    ),
    Deployable(
        "expire_samples",
        "`services.evaluation.handlers.expire_samples.handler`, called by the Scheduler once a day.\n",
        ExpireSamplesSettings,
    ),
    Deployable(
        "notify",
        "`services.evaluation.handlers.notify.handler`, called by the alerts topic (SNS).\n",
        NotifySettings,
    ),
    Deployable(
        "expire",
        "`services.guard.handlers.expire.handler`, called by the Scheduler to park the model, and later to delete.\n",
        ExpireSettings,
    ),
    Deployable(
        "stop_spending",
        "`services.guard.handlers.stop_spending.handler`, called by the topic of the kill switch (SNS).\n",
        StopSpendingSettings,
    ),
)


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for service in SERVICES:
        parts += [f"## {service.title}\n", service.text, _variables(service.settings)]
    parts += ["## Lambda functions\n", _functions_text()]
    for function in FUNCTIONS:
        parts += [f"### {function.title}\n", function.text, _variables(function.settings)]
    parts.append(LOCAL_CLOUD)
    return "\n".join(parts)


def _functions_text() -> str:
    constants = ", ".join(f"`{name}={value}`" for name, value in OPIK_CONSTANTS.items())
    return (
        "The code of every function is the package `services` (`common`, `evaluation`, `guard`); the dependencies are\n"
        "one layer. How the functions work together: [monitoring](monitoring.md).\n\n"
        "Functions that use the Opik SDK also get the SDK's own switches:\n"
        f"{constants}.\n"
    )


def _variables(settings: type[ServiceSettings]) -> str:
    rows = settings_rows(settings, settings.model_fields, str.upper)
    return table(("variable", "values", "default", "what it is"), [row[1:] for row in rows])
